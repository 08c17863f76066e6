"""Gains of policies are paired with equal budgets and the static reference, on the same tests."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def allocation(script):
    return script("allocation")


def result_of(allocation, static, own, caps=(1, 2, 4)):
    arrays = {
        name: np.tile(np.array(curve, np.float64), (2, 30, 1))
        for name, curve in {"majority": static, "consensus": [0.1] * len(caps), "calibrated": own}.items()
    }
    return allocation.RegimeResult("some", caps, arrays, {"adaptive": arrays["calibrated"]})


def test_the_share_of_tests_is_where_the_own_curve_reaches_the_references_best(allocation):
    result = result_of(allocation, [0.4, 0.5, 0.6], [0.5, 0.7, 0.8])
    assert result.share_of_tests("adaptive").value == pytest.approx(1.5 / 4)
    assert [round(cell.value, 6) for cell in result.over_static("adaptive")] == [10, 20, 20, 16.666667]
    assert [cell.value for cell in result.gains("adaptive")] == [0, 0, 0, 0]


def test_a_reference_that_falls_is_matched_at_its_best(allocation):
    result = result_of(allocation, [0.4, 0.6, 0.5], [0.5, 0.6, 0.8])
    assert result.share_of_tests("adaptive").value == pytest.approx(1)


def test_every_policy_spends_the_same_tests_of_a_regime(allocation, script, recorded_tests):
    regime = script("regimes").Regime("some", "family", recorded_tests[::20])
    model = allocation.default_change_model()
    result = allocation.evaluate(regime, model, 2, [1, 3], indices=True)
    assert set(result.policies) == {
        "adaptive", "adaptive, shipped weights", "oracle-curves", *allocation.INDICES,
    }  # fmt: skip
    np.testing.assert_array_equal(result.policies["adaptive"], result.policies["adaptive, shipped weights"])
    shape = (2, len(regime.recorded), 2)
    assert {array.shape for array in (*result.policies.values(), *result.static.values())} == {shape}

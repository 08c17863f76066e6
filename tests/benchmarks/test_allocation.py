"""Figures of variants are paired with the reference, on the recorded tests that they name."""

import math

import numpy as np
import pytest

from testbudget.difficulty.predictions import PredictedPassRates


def test_a_variant_needs_the_tests_at_which_its_own_curve_crosses_the_reference(script):
    allocation = script("allocation")
    better, never = allocation.VARIANTS[1:3]
    caps = [1, 2, 4]
    curves = {
        allocation.REFERENCE: [0.4, 0.5, 0.6],
        better: [0.5, 0.7, 0.8],
        never: [0.4, 0.4, 0.5],
    }
    evaluated = {variant: np.tile(curve, (2, 30, 1)) for variant, curve in curves.items()}
    found = allocation.variant_figures(evaluated, caps)
    assert found[better].needed.value == pytest.approx(1.5)
    assert [round(lead.value, 6) for lead in found[better].lead] == [10, 20, 20]
    assert found[never].needed.value == math.inf
    assert found[allocation.REFERENCE].needed.value == pytest.approx(4)


def test_every_variant_is_evaluated_and_auto_by_votes_of_one_test_is_the_reference(script, recorded_tests):
    allocation, recorded_parts = script("allocation"), script("recorded_parts")
    some = [recorded_parts.keep_tests(one, np.arange(6)) for one in recorded_tests[::20]]
    with_inputs_of = script("input_mutations").with_inputs_of
    further = [with_inputs_of(one, one.indices[:2].tolist()) for one in some]
    predicted = PredictedPassRates("learned", np.tile(np.linspace(0.1, 0.9, len(some)), (2, 1)), False, 0.0)
    data = allocation.PartData("some", some, further, predicted)
    evaluated = allocation.evaluate(data, [1, 3], 2)
    assert set(evaluated) == set(allocation.VARIANTS)
    assert {values.shape for values in evaluated.values()} == {(2, len(some), 2)}
    (by_votes,) = (one for one in evaluated if (one.picks, one.policy) == (allocation.VOTES, "uniform"))
    np.testing.assert_array_equal(evaluated[by_votes][:, :, 0], evaluated[allocation.REFERENCE][:, :, 0])

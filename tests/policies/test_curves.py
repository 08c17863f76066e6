from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from testbudget.policies.curves import Binned, OracleCurves, envelope_slopes
from testbudget.policies.gain_model import DifficultyBins, GainModelAssignment
from testbudget.rewards.errors import UserError
from tests.policies import tiny
from tests.policies.one_at_a_time import allocate

CURVES = st.lists(st.integers(0, 16).map(lambda share: share / 16), min_size=1, max_size=12)


def hull_heights(curve):
    """Heights of the least concave curve above a curve, by the chords over each point."""
    points = range(len(curve))
    return [
        max(
            curve[left]
            if left == right
            else (curve[left] * (right - at) + curve[right] * (at - left)) / (right - left)
            for left in points[: at + 1]
            for right in points[at:]
        )
        for at in points
    ]


@given(CURVES)
def test_slopes_are_those_of_the_least_concave_curve_above_and_never_negative(curve):
    (slopes,) = envelope_slopes(np.array([curve]))
    expected = np.maximum(np.diff(hull_heights(curve)), 0)
    np.testing.assert_allclose(slopes, expected, atol=1e-12)


@given(st.lists(CURVES, min_size=1, max_size=4))
def test_each_curve_has_the_slopes_that_it_has_alone_and_none_beyond_its_end(curves):
    longest = max(map(len, curves))
    padded = np.full((len(curves), longest), np.nan)
    for row, curve in zip(padded, curves, strict=True):
        row[: len(curve)] = curve
    for slopes, curve in zip(envelope_slopes(padded), curves, strict=True):
        np.testing.assert_array_equal(slopes[: len(curve) - 1], envelope_slopes(np.array([curve]))[0])
        assert (slopes[len(curve) - 1 :] == 0).all()


@given(CURVES)
def test_slopes_never_rise(curve):
    assert (np.diff(envelope_slopes(np.array([curve]))[0]) <= 0).all()


@pytest.mark.parametrize("curves", [np.zeros(3), np.zeros((2, 0)), np.array([[np.nan, 1.0]])])
def test_arrays_that_are_no_curves_are_refused(curves):
    with pytest.raises(ValueError, match="start with a number"):
        envelope_slopes(curves)


def budgets(curves, cap):
    return allocate(OracleCurves(np.array(curves)), len(curves), cap)


def test_the_oracle_stops_where_accuracy_no_longer_rises():
    curves = [[0.2, 0.5, 0.9, 0.4], [0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.2, 0.3]]
    np.testing.assert_array_equal(budgets(curves, 100), [2, 0, 0])


def test_the_oracle_plans_past_tests_without_gain_of_their_own():
    np.testing.assert_array_equal(budgets([[0.0, 0.0, 0.0, 0.9], [0.0, 0.2, 0.2, 0.2]], 3), [3, 0])


def test_a_problem_with_fewer_tests_ends_where_its_curve_does():
    np.testing.assert_array_equal(budgets([[0.0, 0.5, np.nan], [0.0, 0.1, 0.2]], 100), [1, 2])


def test_problems_with_equal_slopes_get_whole_segments():
    # 0.3 in three steps, none of which is exact in binary.
    curve = [0.0, 0.1, 0.2, 0.1 + 0.2, 0.3]
    np.testing.assert_array_equal(budgets([curve] * 3, 6), [3, 3, 0])


def bins_of(edges, curves):
    return DifficultyBins(np.array(edges), np.array(curves))


def test_problems_of_a_bin_get_budgets_by_its_curve(gain_model):
    one = replace(gain_model(), bins=bins_of([0.5], [[0.1, 0.2, 0.3, 0.4], [0.5, 0.9, 0.9, 0.9]]))
    policy = Binned(np.array([0.1, 0.4, 0.6, 0.9]), GainModelAssignment.shared(one, 4))
    np.testing.assert_array_equal(allocate(policy, 4, 6), [3, 1, 1, 1])
    np.testing.assert_array_equal(allocate(policy, 4, 100), [3, 3, 1, 1])


def test_each_problem_is_binned_by_its_own_gain_model(gain_model):
    rising, flat = [0.0, 0.5, 0.9], [0.4, 0.4, 0.4]
    models = (bins_of([0.5], [rising, flat]), bins_of([], [[0.1, 0.3]]))
    gain_models = GainModelAssignment(
        tuple(replace(gain_model(), bins=bins) for bins in models), np.array([0, 0, 1])
    )
    policy = Binned(np.array([0.2, 0.7, 0.7]), gain_models)
    np.testing.assert_array_equal(allocate(policy, 3, 100), [2, 0, 1])


def test_a_problem_without_a_predicted_pass_rate_is_in_no_bin(gain_model):
    policy = Binned(np.array([np.nan, 0.7]), GainModelAssignment.shared(gain_model(), 2))
    assert allocate(policy, 2, 100)[0] == 0
    np.testing.assert_array_equal(policy.terms(np.arange(2), np.arange(2))["pass_rate"], [np.nan, 0.7])


def test_gain_models_without_bins_are_refused(gain_model):
    with pytest.raises(UserError, match="'binned' needs gain models with predicted pass rates"):
        Binned(np.array([0.5, 0.5]), GainModelAssignment.shared(gain_model(bins=False), 2))


def heights(curves):
    """Heights of the envelopes, float64 (problems, tests + 1)."""
    return curves[:, [0]] + np.cumsum(np.pad(envelope_slopes(curves), ((0, 0), (1, 0))), axis=1)


def at_ends(curves, budgets):
    """True where curve and envelope meet at the budget, bool (problems,)."""
    return np.isclose(curves, heights(curves))[np.arange(tiny.PROBLEMS), budgets]


@given(tiny.CURVES, tiny.CAPS, tiny.MAXIMA)
def test_no_budgets_have_higher_envelopes_than_those_of_the_oracle(curves, cap, max_tests):
    budgets = allocate(OracleCurves(curves), tiny.PROBLEMS, cap, max_tests=max_tests)
    best = tiny.total(heights(curves), tiny.all_budgets(cap, max_tests, spend=False)).max()
    assert tiny.total(heights(curves), budgets) == pytest.approx(best, abs=1e-6)


@given(tiny.CURVES, tiny.CAPS)
def test_no_budgets_are_more_accurate_than_those_of_the_oracle_where_it_cuts_no_segment(curves, cap):
    budgets = allocate(OracleCurves(curves), tiny.PROBLEMS, cap)
    assume(at_ends(curves, budgets).all())
    best = tiny.total(curves, tiny.all_budgets(cap, np.full(tiny.PROBLEMS, tiny.TESTS), spend=False)).max()
    assert tiny.total(curves, budgets) == pytest.approx(best, abs=1e-6)


@given(tiny.CURVES, tiny.CAPS)
def test_the_oracle_cuts_one_segment_at_most(curves, cap):
    budgets = allocate(OracleCurves(curves), tiny.PROBLEMS, cap)
    assert (~at_ends(curves, budgets)).sum() <= 1


@given(tiny.CURVES, tiny.RATES, tiny.CAPS, tiny.MAXIMA)
def test_no_budgets_have_higher_envelopes_of_their_bins_than_those_of_binned(
    gain_model, curves, rates, cap, max_tests
):
    fitted = replace(gain_model(), bins=bins_of([0.3, 0.6], curves))
    policy = Binned(rates, GainModelAssignment.shared(fitted, tiny.PROBLEMS))
    budgets = allocate(policy, tiny.PROBLEMS, cap, max_tests=max_tests)
    own = heights(curves)[fitted.bins.bin_of(rates)]
    best = tiny.total(own, tiny.all_budgets(cap, max_tests, spend=False)).max()
    assert tiny.total(own, budgets) == pytest.approx(best, abs=1e-6)

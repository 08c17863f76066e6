from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.curves import Binned, OracleCurves, envelope_slopes
from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.rewards.errors import UserError

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


def oracle(curves, **limits):
    return OracleCurves(len(curves), np.array(curves), **{"max_tests": 99, **limits})


def curves_of(problems, tests):
    share = st.integers(0, 8).map(lambda eighths: eighths / 8)
    curve = st.lists(share, min_size=tests + 1, max_size=tests + 1)
    return st.lists(curve, min_size=problems, max_size=problems)


@given(curves_of(3, 4), st.integers(0, 12))
def test_no_oracle_budgets_within_the_cap_have_higher_envelopes(curves, remaining):
    policy = oracle(curves)
    policy.ask(remaining)
    heights = np.cumsum(np.pad(envelope_slopes(np.array(curves)), ((0, 0), (1, 0))), axis=1)
    best = max(
        sum(heights[problem, tests] for problem, tests in enumerate(budgets))
        for budgets in product(range(5), repeat=3)
        if sum(budgets) <= remaining
    )
    gained = sum(heights[problem, tests] for problem, tests in enumerate(policy.granted))
    assert gained == pytest.approx(best, abs=1e-6)


def test_the_oracle_stops_where_accuracy_no_longer_rises():
    policy = oracle([[0.2, 0.5, 0.9, 0.4], [0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.2, 0.3]])
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [2, 0, 0])


def test_the_oracle_plans_past_tests_without_gain_of_their_own():
    policy = oracle([[0.0, 0.0, 0.0, 0.9], [0.0, 0.2, 0.2, 0.2]])
    policy.ask(3)
    np.testing.assert_array_equal(policy.granted, [3, 0])


def test_a_problem_with_fewer_tests_ends_where_its_curve_does():
    policy = oracle([[0.0, 0.5, np.nan], [0.0, 0.1, 0.2]])
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [1, 2])


def test_another_number_of_curves_is_refused():
    with pytest.raises(ValueError, match="one curve for each of 2 problems but got 1"):
        OracleCurves(2, np.zeros((1, 4)), max_tests=3)


def binned_model(gain_model, edges, curves) -> GainModel:
    plain = gain_model()
    return GainModel(
        plain.selection,
        plain.accuracy,
        None,
        plain.counts,
        plain.mean_p_wrong,
        plain.weights,
        DifficultyBins(np.array(edges), np.array(curves)),
    )


def test_problems_of_a_bin_get_budgets_by_its_curve(gain_model):
    one = binned_model(gain_model, [0.5], [[0.1, 0.2, 0.3, 0.4], [0.5, 0.9, 0.9, 0.9]])
    policy = Binned(4, np.array([0.1, 0.4, 0.6, 0.9]), GainModelAssignment.shared(one, 4), max_tests=9)
    policy.ask(6)
    np.testing.assert_array_equal(policy.granted, [3, 1, 1, 1])
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [3, 3, 1, 1])


def test_each_problem_is_binned_by_its_own_gain_model(gain_model):
    rising, flat = [0.0, 0.5, 0.9], [0.4, 0.4, 0.4]
    gain_models = GainModelAssignment(
        (binned_model(gain_model, [0.5], [rising, flat]), binned_model(gain_model, [], [[0.1, 0.3]])),
        np.array([0, 0, 1]),
    )
    policy = Binned(3, np.array([0.2, 0.7, 0.7]), gain_models, max_tests=9)
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [2, 0, 1])


def test_gain_models_without_bins_are_refused(gain_model):
    with pytest.raises(UserError, match="'binned' needs gain models with predicted pass rates"):
        Binned(2, np.array([0.5, 0.5]), GainModelAssignment.shared(gain_model(bins=False), 2), max_tests=9)


def test_gain_models_must_be_for_these_problems(gain_model):
    with pytest.raises(ValueError, match="one number for each of 3 problems"):
        Binned(3, np.full(3, 0.5), GainModelAssignment.shared(gain_model(), 2), max_tests=9)


@pytest.mark.parametrize("rates", [[0.5, -0.1], [0.5, 1.1], [0.5, np.nan]])
def test_pass_rates_outside_zero_to_one_are_refused(gain_model, rates):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Binned(2, np.array(rates), GainModelAssignment.shared(gain_model(), 2), max_tests=9)

import math

import numpy as np
import pytest

from testbudget.difficulty.examples import (
    FALSE_NEGATIVE_RATE,
    PASS_RATE,
    SOLVABLE,
    TARGETS,
    MeasuredProblem,
    gain_target,
    target_labels,
)

EASY = MeasuredProblem(9, 10, 20, math.nan, 0.1, {1: 0.1})
MIDDLING = MeasuredProblem(5, 10, 20, 0.3, 0.2, {1: -0.2, 16: 0.4})
HOPELESS = MeasuredProblem(0, 40, 10, 0.8, math.nan, {1: 0.0, 16: 0.0})
PROBLEMS = [EASY, MIDDLING, HOPELESS]


def test_pass_rates_weigh_by_their_candidates_and_solvability_by_problem():
    rates, solvable = target_labels(PASS_RATE, PROBLEMS), target_labels(SOLVABLE, PROBLEMS)
    assert rates.values.tolist() == [0.9, 0.5, 0.0]
    assert rates.weights.tolist() == [10, 10, 40]
    assert rates.event.tolist() == solvable.event.tolist() == [True, True, False]
    assert solvable.values.tolist() == [1, 1, 0]
    assert solvable.weights.tolist() == [1, 1, 1]


def test_what_could_not_be_measured_is_unknown():
    assert target_labels(FALSE_NEGATIVE_RATE, PROBLEMS).known.tolist() == [True, True, False]
    assert target_labels(gain_target(16), PROBLEMS).known.tolist() == [False, True, True]


def test_error_rates_ask_for_more_than_the_median():
    assert target_labels(FALSE_NEGATIVE_RATE, PROBLEMS).event.tolist() == [False, True, False]


def test_gains_ask_whether_tests_help():
    assert target_labels(gain_target(1), PROBLEMS).event.tolist() == [True, False, False]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_target_is_a_share_and_back(target):
    values = target_labels(target, PROBLEMS).values
    shares = target.as_share(values)
    assert ((shares >= 0) & (shares <= 1) | np.isnan(shares)).all()
    np.testing.assert_allclose(target.from_share(shares), values, atol=1e-15)
    upper, lower = target.from_share(np.array([0.6])), target.from_share(np.array([0.4]))
    assert target.deviation_from_share(np.array([0.2])) == pytest.approx(upper - lower)

"""The level of p_correct: agreement of halves on simulated batches, and the shift of log-odds."""

import math

import numpy as np
import pytest

from testbudget.rewards.confidence.level import at_level, halves_agreement
from testbudget.rewards.outputs import Evidence, OutputMatrix
from testbudget.rewards.votes import Votes


def problems(number, rng, right, *, outputs=True, tests=6):
    """Problems whose correct candidates pass all tests and return 0; wrong ones differ in all of them."""
    made = []
    for _ in range(number):
        correct = rng.random(12) < right
        passed = np.tile(correct, (tests, 1)) | (rng.random((tests, 12)) < 0.2)
        results = np.where(correct, 0, rng.integers(1, 50, (tests, 12))).astype(np.int32)
        matrix = OutputMatrix(results, results >= 0, np.arange(tests + 1)) if outputs else None
        made.append(Evidence(Votes.from_matrix(passed), matrix))
    return made


@pytest.mark.parametrize("outputs", [True, False])
def test_halves_agree_where_candidates_are_right_and_not_where_they_are_wrong(outputs):
    rng = np.random.default_rng(0)
    assert halves_agreement(problems(30, rng, 0.8, outputs=outputs)) > 0.9
    assert halves_agreement(problems(30, rng, 0.0, outputs=outputs)) < 0.4


def test_equal_batches_have_equal_agreement():
    batch = problems(5, np.random.default_rng(1), 0.4)
    assert halves_agreement(batch) == halves_agreement(batch)


@pytest.mark.parametrize(
    "batch", [[], [Evidence(Votes(3))], [Evidence(Votes.from_matrix(np.ones((4, 1), np.bool_)))]]
)
def test_a_batch_that_cannot_be_halved_has_no_agreement(batch):
    assert math.isnan(halves_agreement(batch))


def test_log_odds_are_moved_by_one_number_to_the_wanted_mean():
    p_correct, tests = np.linspace(0.2, 0.9, 990), np.full(990, 4)
    moved = at_level(p_correct, tests, 0.3)
    log_odds = [np.log(p / (1 - p)) for p in (p_correct, moved)]
    np.testing.assert_allclose(np.diff(log_odds[1] - log_odds[0]), 0, atol=1e-9)
    assert moved.mean() == pytest.approx(0.3, abs=0.005)  # less the prior of ten problems
    few = at_level(p_correct[::99], tests[::99], 0.3)
    assert 0.4 < few.mean() < 0.5


def test_problems_with_one_test_and_batches_without_agreement_keep_p_correct():
    p_correct = np.array([0.5, 0.5])
    assert at_level(p_correct, np.array([1, 3]), 0.9).tolist()[0] == 0.5
    assert at_level(p_correct, np.array([1, 3]), 0.9)[1] > 0.5
    assert at_level(p_correct, np.array([3, 3]), math.nan).tolist() == [0.5, 0.5]


def test_certain_picks_and_whole_agreement_stay_within_0_and_1():
    moved = at_level(np.array([0.0, 1.0, 1.0]), np.array([5, 5, 5]), 1.0)
    assert ((moved >= 0) & (moved <= 1)).all()

"""Calibration against plain loops, on simulated problems, and on degenerate ones."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import betaln

from testbudget.rewards import calibration_fit
from testbudget.rewards.calibration import PRIOR_FREE_MODELS, PRIOR_MODELS, GroupRows
from testbudget.rewards.calibration_fit import (
    BatchCalibration,
    calibrate,
    calibrated_counts,
    pool_agreement,
)

MEANS = [0.005, 0.01, 0.02, *(0.03 + 0.02 * step for step in range(47)), 0.98]


def rows(passed, tests, sizes, support, *, seen=None, agreement=0.4, votes=None, barred=None):
    """Output groups of one problem, one row each."""
    count = len(passed)
    return GroupRows(
        np.asarray(passed, np.intp),
        np.full(count, tests, np.intp),
        np.full(count, max(passed) if seen is None else seen, np.intp),
        np.ones(count),
        np.log(np.asarray(sizes, float)),
        np.asarray(support, float),
        np.zeros(count, np.bool_) if barred is None else np.asarray(barred),
        agreement,
        votes,
    )


def simulated(problems, rng, tests=12, right=0.7, wrong=0.2, agreement=0.4, support=3.0):
    """Problems with one large right group, which passes more tests than four small wrong ones."""
    made = []
    for _ in range(problems):
        passed = [rng.binomial(tests, right), *rng.binomial(tests, wrong, 4)]
        made.append(
            rows(passed, tests, [8, 3, 2, 1, 1], [support, 1, 1, 0, 0], seen=tests, agreement=agreement)
        )
    return made


def log_likelihood(passed, tests, mean, total):
    alpha, beta = mean * total, (1 - mean) * total
    return float(betaln(alpha + passed, beta + tests - passed) - betaln(alpha, beta))


def fitted_by_loops(problems, prior, none):
    """Means of right and wrong groups after eight steps, with fixed totals and all tests counted."""
    totals = prior.right_total, prior.wrong_total
    means = prior.right_mean, prior.wrong_mean
    found = None
    for _ in range(8):
        weights = []  # of right and of wrong groups, with tests passed and counted
        for one in problems:
            logs = 1.5 * one.support
            logs = logs - math.log(np.exp(logs).sum())
            if found is not None:
                logs = logs + [
                    log_likelihood(s, m, found[0], totals[0]) - log_likelihood(s, m, found[1], totals[1])
                    for s, m in zip(one.passed, one.run, strict=True)
                ]
            odds = (1 - none) * np.exp(logs)
            right = odds / (odds.sum() + none)
            wrong = (1 - right) / (1 - right).sum()
            weights += zip(one.passed, one.run, right, wrong, strict=True)
        found = tuple(
            max(
                MEANS,
                key=lambda mean, which=which: (
                    sum(
                        weight[2 + which] * log_likelihood(weight[0], weight[1], mean, totals[which])
                        for weight in weights
                    )
                    + 2 * (means[which] * math.log(mean) + (1 - means[which]) * math.log(1 - mean))
                ),
            )
            for which in (0, 1)
        )
    return found


@pytest.mark.parametrize("seed", range(4))
def test_means_are_those_of_plain_loops(seed):
    rng = np.random.default_rng(seed)
    problems = simulated(6, rng, tests=5, wrong=rng.uniform(0.1, 0.6))
    every, seen = calibrate(problems).weak
    for model, prior, none in ((every, PRIOR_MODELS[0], 0.0), (seen, PRIOR_MODELS[1], 0.2)):
        expected = fitted_by_loops(problems, prior, none)
        assert (model.right_mean, model.wrong_mean) == pytest.approx(expected)


@pytest.mark.parametrize("agreement", [0.4, 0.9])
def test_rates_of_a_large_batch_are_found_without_labels(agreement):
    calibration = calibrate(simulated(300, np.random.default_rng(0), agreement=agreement))
    for model in calibration.weak if agreement < 0.5 else calibration.strong:
        assert model.right_mean == pytest.approx(0.7, abs=0.05)
        assert model.wrong_mean == pytest.approx(0.2, abs=0.1)


def test_free_totals_are_large_where_tests_are_evenly_good_and_small_where_they_are_not():
    rng = np.random.default_rng(1)
    even = simulated(200, rng, agreement=0.9)
    uneven = [simulated(1, rng, right=rng.choice([0.4, 1.0]), agreement=0.9)[0] for _ in range(200)]
    assert calibrate(even).strong[1].right_total > calibrate(uneven).strong[1].right_total


def test_tests_that_pass_right_and_wrong_groups_alike_have_a_ratio_near_1():
    telling = calibrate(simulated(100, np.random.default_rng(2), wrong=0.1)).weak[0]
    misleading = calibrate(simulated(100, np.random.default_rng(2), wrong=0.65)).weak[0]
    assert telling.right_mean - telling.wrong_mean > 0.5
    assert misleading.right_mean - misleading.wrong_mean < 0.15


def test_a_barred_group_is_not_taken_for_the_right_one():
    """With votes alone the candidates that pass nothing are the largest group."""
    problem = rows([0, 4, 1], 5, [20, 3, 2], [3.0, 1.1, 0.7], barred=[True, False, False], votes=(0.2, 0.1))
    assert calibrate([problem] * 30).weak[0].right_mean > 0.6
    unbarred = rows([0, 4, 1], 5, [20, 3, 2], [3.0, 1.1, 0.7], votes=(0.2, 0.1))
    assert calibrate([unbarred] * 30).weak[0].right_mean < 0.3


@pytest.mark.parametrize(
    "problems",
    [
        [],
        [rows([0], 0, [1], [0.0], agreement=np.nan)],
        [rows([0, 0], 4, [1, 1], [0.0, 0.0])],
        [rows([3], 3, [1], [0.0], agreement=1.0)] * 5,
        [rows([4] * 6, 4, [6] * 6, [math.log(6)] * 6, agreement=1.0)] * 5,
        [rows([0, 0], 4, [2, 2], [-49.0, -49.0], agreement=0.0)] * 3,
        [rows([0, 1], 4, [1, 1], [0.0, 0.0], agreement=np.nan, votes=(0.1, 0.02))],
    ],
)
def test_degenerate_batches_are_calibrated(problems):
    calibration = calibrate(problems)
    assert 0 <= calibration.strength <= 1
    for model in (*calibration.weak, *calibration.strong):
        assert 0 < model.right_mean < 1
        assert np.isfinite(model.log_ratio(4)).all()


def test_without_tests_models_are_those_of_the_prior():
    calibration = calibrate([rows([0, 0], 0, [1, 1], [0.0, 0.0])])
    assert (calibration.weak, calibration.strong) == (PRIOR_MODELS, PRIOR_FREE_MODELS)


def test_the_pool_is_judged_by_outputs_and_by_votes():
    by_outputs = rows([1], 1, [1], [0.0], agreement=0.8)
    by_votes = rows([1], 1, [1], [0.0], agreement=np.nan, votes=(0.5, 0.45))
    assert pool_agreement([by_outputs]) == pytest.approx((0.8 + 1) / 3)
    assert pool_agreement([by_votes]) == pytest.approx((1.2 * 0.9 - 0.31 + 1) / 3)
    assert pool_agreement([]) == 0.5


def test_a_problem_with_fewer_tests_counts_with_all_that_it_has():
    rng = np.random.default_rng(3)
    few, many = simulated(1, rng, tests=4)[0], simulated(1, rng, tests=8)[0]
    batch = BatchCalibration([{0: few, 4: few}, {0: many, 4: many, 8: many}], tests=8)
    assert batch.at(8) is batch.at(9)
    assert batch.at(8).weak == calibrate([few, many]).weak
    assert batch.at(7).strength == batch.at(6).strength


def test_counts_are_a_quarter_apart_and_the_same_for_any_number_of_tests():
    counts = calibrated_counts(1000)
    assert counts[:8] == (0, 1, 2, 3, 4, 5, 6, 8)
    assert counts[-1] <= 1000
    assert max(after / before for before, after in itertools.pairwise(counts[5:])) < 1.4
    assert all(calibrated_counts(tests) == counts[: len(calibrated_counts(tests))] for tests in range(200))
    assert calibrated_counts(0) == (0,)


def test_of_many_problems_evenly_spaced_ones_count(monkeypatch):
    problems = simulated(40, np.random.default_rng(4))
    monkeypatch.setattr(calibration_fit, "_MAX_PROBLEMS", 10)
    assert calibrate(problems).weak == calibrate(problems[::4]).weak

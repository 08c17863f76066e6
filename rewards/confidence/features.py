"""What a candidate has to show for being right: few numbers, cheap, and without ground truth."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics, latest_groups
from testbudget.rewards.selection.base import SelectionRule

FEATURES = (
    "agreement with all candidates",
    "candidates of its kind",
    "share of the tests passed",
    "lead in tests passed",
    "number of tests",
    "candidates that passed as many tests",
    "indifference of the batch's tests",
    "share passed of indifferent tests",
    "predicted pass rate",
)
"""Names of the signs, in their order."""

_ALMOST = 0.01  # how near to 0 or 1 a predicted pass rate may lie


def candidate_features(
    evidence: Evidence, counts: Sequence[int], pass_rate: float = math.nan
) -> NDArray[np.float64]:
    """The signs of every candidate after so many tests, NaN for one that is not known.

    In order: the logarithm of the mean share of candidates that agree with it, input by input
    (:attr:`PrefixStatistics.agreement`); of the share of candidates with equal outputs, or with equal verdicts where
    no outputs are known; the share of tests passed, drawn towards a half; tests ahead of the next lower
    score, or behind the best one, over the square root of the tests, squashed; the logarithm of the number
    of tests; of the share of candidates with at least its score; :attr:`BatchStatistics.minority_ratio`, and that times
    the share passed; the log-odds of the problem's predicted pass rate.

    Candidates that fell out of a race count with what they passed until then.

    Args:
        evidence: of one problem.
        counts: ascending numbers of tests.
        pass_rate: what was predicted before the first test; NaN if nothing was.

    Returns:
        Shape (counts, candidates, signs).
    """
    growth = PrefixStatistics(evidence, counts)
    passed, tests = growth.passed.astype(np.float64), growth.tests
    candidates = passed.shape[1]
    nothing = np.full(passed.shape, np.nan)
    seen = (tests > 0) | (growth.inputs > 0)
    minority_ratio = nothing
    if growth.has_outputs and evidence.batch is not None:
        minority_ratio = np.where(tests > 0, growth.batch_minority_ratio, np.nan) + np.zeros(passed.shape)
    share = (passed + 1) / (tests + 2)
    level = np.stack([np.searchsorted(np.sort(row), row) for row in passed])
    believed = min(max(pass_rate, _ALMOST), 1 - _ALMOST)  # NaN stays NaN
    return np.stack(
        [
            np.where(growth.inputs > 0, np.log(growth.agreement + 0.02), np.nan),
            np.where(seen, np.log(growth.output_group_sizes / candidates), np.nan),
            share,
            np.tanh(_lead(passed) / np.sqrt(np.maximum(tests, 1))),
            np.log1p(tests) + np.zeros(passed.shape),
            np.log((candidates - level) / candidates),
            minority_ratio,
            minority_ratio * share,
            nothing
            if math.isnan(pass_rate)
            else np.full(passed.shape, math.log(believed / (1 - believed))),
        ],
        axis=-1,
    )


def mean_over_winners(
    candidate_features: NDArray[np.float64], won: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean signs of the tied winners, shape (counts, signs); ``won`` has shape (counts, candidates)."""
    shares = won / won.sum(axis=1, keepdims=True)
    # What is not known is so of all candidates alike.
    return np.asarray(
        np.where(won[..., np.newaxis], candidate_features * shares[..., np.newaxis], 0.0).sum(axis=1)
    )


def _lead(passed: NDArray[np.float64]) -> NDArray[np.float64]:
    best = passed.max(axis=1, keepdims=True)
    next_lower = np.where(passed < best, passed, 0.0).max(axis=1, keepdims=True)
    return np.asarray(np.where(passed == best, best - next_lower, passed - best))


# ~ """Whether a pick would be the same on other tests: the tests are parted in halves, and each half picks."""


_SPLITS = 4
_SEED = 0  # the same evidence is always split alike


def split_half_agreement(
    evidence: Evidence, rule: SelectionRule, winners: NDArray[np.intp]
) -> tuple[float, float]:
    """How often picks from random halves of the tests behave like each other, and like the whole's pick.

    Candidates behave alike if their outputs are equal, or if they passed the same tests where no outputs
    are known. Ties are drawn evenly.

    Args:
        evidence: of one problem.
        rule: picks.
        winners: of all the tests.

    Returns:
        Two shares in [0, 1]; NaN for less than two tests.
    """
    tests = evidence.votes.tests
    if tests < 2:
        return np.nan, np.nan
    members = latest_groups(evidence)
    whole = _shares(members, winners)
    random = np.random.default_rng(_SEED)
    each_other = with_whole = 0.0
    for _ in range(_SPLITS):
        order = random.permutation(tests)
        one, other = (
            _shares(members, rule.winners(evidence.of_tests(np.sort(half))))
            for half in (order[: tests // 2], order[tests // 2 :])
        )
        each_other += float(one @ other) / _SPLITS
        with_whole += float((one + other) @ whole) / (2 * _SPLITS)
    return each_other, with_whole


def _shares(members: NDArray[np.intp], winners: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.bincount(members[winners], minlength=members.max() + 1) / len(winners)

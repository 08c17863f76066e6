"""What a candidate has to show for being right: few numbers, cheap, and without ground truth."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.evidence import Evidence
from rewards.selection.growth import Growth

SIGNS = (
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


def signs(evidence: Evidence, counts: Sequence[int], pass_rate: float = math.nan) -> NDArray[np.float64]:
    """The signs of every candidate after so many tests, NaN for one that is not known.

    In order: the logarithm of the mean share of candidates that agree with it, input by input
    (:attr:`Growth.agreement`); of the share of candidates with equal outputs, or with equal verdicts where
    no outputs are known; the share of tests passed, drawn towards a half; tests ahead of the next lower
    score, or behind the best one, over the square root of the tests, squashed; the logarithm of the number
    of tests; of the share of candidates with at least its score; :attr:`Batch.indifference`, and that times
    the share passed; the log-odds of the problem's predicted pass rate.

    Candidates that fell out of a race count with what they passed until then.

    Args:
        evidence: of one problem.
        counts: ascending numbers of tests.
        pass_rate: what was predicted before the first test; NaN if nothing was.

    Returns:
        Shape (counts, candidates, signs).
    """
    growth = Growth(evidence, counts)
    passed, tests = growth.passed.astype(np.float64), growth.tests
    candidates = passed.shape[1]
    nothing = np.full(passed.shape, np.nan)
    seen = (tests > 0) | (growth.inputs > 0)
    indifference = nothing
    if growth.has_outputs and evidence.batch is not None:
        indifference = np.where(tests > 0, growth.batch_indifference, np.nan) + np.zeros(passed.shape)
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
            indifference,
            indifference * share,
            nothing
            if math.isnan(pass_rate)
            else np.full(passed.shape, math.log(believed / (1 - believed))),
        ],
        axis=-1,
    )


def of_winners(signs: NDArray[np.float64], won: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean signs of the tied winners, shape (counts, signs); ``won`` has shape (counts, candidates)."""
    shares = won / won.sum(axis=1, keepdims=True)
    # What is not known is so of all candidates alike.
    return np.asarray(np.where(won[..., np.newaxis], signs * shares[..., np.newaxis], 0.0).sum(axis=1))


def _lead(passed: NDArray[np.float64]) -> NDArray[np.float64]:
    best = passed.max(axis=1, keepdims=True)
    next_lower = np.where(passed < best, passed, 0.0).max(axis=1, keepdims=True)
    return np.asarray(np.where(passed == best, best - next_lower, passed - best))

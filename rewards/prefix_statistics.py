"""Statistics of each candidate after the first m tests, for several m at once.

Selection rules compute their winners from them. Arrays have shape (counts, candidates) unless another is
stated. They hold no NaN.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import UNKNOWN, Evidence, OutputMatrix

USUAL_MINORITY_RATIO = 0.25
"""Minority ratio without a batch: between the ratios of good tests and of bad ones."""

_LOG_OF_ZERO = -50.0  # below every sum that agreement can add
_SOFT_DECAY = 5.0  # a candidate that differs on 20 % of the inputs counts as exp(-1), about 1/3


class PrefixStatistics:
    """Statistics of a problem's candidates after the first m tests.

    Args:
        evidence: evidence on the problem. A pair that was not run counts as not passed.
        counts: ascending values of m.

    Attributes:
        passed: bool (tests, candidates), pairs that were passed.
    """

    def __init__(self, evidence: Evidence, counts: Sequence[int]) -> None:
        self._evidence = evidence
        self._counts = np.asarray(counts, np.intp)
        self.passed = evidence.votes.passed()
        self._outputs = None if evidence.outputs is None else _widely_known(evidence.outputs)

    @property
    def tests(self) -> NDArray[np.intp]:
        """The counts, intp (counts, 1)."""
        return self._counts[:, np.newaxis]

    @cached_property
    def tests_passed(self) -> NDArray[np.int64]:
        """Number of tests passed, s."""
        return prefix_scores(self.passed)[self._counts]

    @cached_property
    def pass_set_sizes(self) -> NDArray[np.int64]:
        """Number of candidates that passed the same tests, itself included."""
        return prefix_group_sizes(self.passed)[self._counts]

    @cached_property
    def output_group_sizes(self) -> NDArray[np.int64]:
        """Size of the output group, n: candidates with equal outputs on all inputs, itself included.

        Without outputs, ``pass_set_sizes``.
        """
        if self._outputs is None:
            return self.pass_set_sizes
        return prefix_group_sizes(self._outputs.results)[self._known]

    @cached_property
    def agreement(self) -> NDArray[np.float64]:
        """Agreement a: share of the returned values that equal the candidate's own, mean over inputs.

        A candidate that returned no value on an input has share 0 there. Without known inputs, 1.
        """
        shape = (len(self._counts), self._evidence.votes.candidates)
        if self._outputs is None:
            return np.ones(shape)
        sums = np.zeros((len(self._outputs.results) + 1, shape[1]))
        np.cumsum(_shares(self._outputs), axis=0, out=sums[1:])
        inputs = self._known[:, np.newaxis]
        return np.where(inputs, sums[self._known] / np.maximum(inputs, 1), 1.0)

    @cached_property
    def soft_group_sizes(self) -> NDArray[np.float64]:
        """Soft group size K: sum over candidates of ``exp(-5 d)``, with d the share of inputs that differ.

        Without outputs, ``pass_set_sizes``.
        """
        if self._outputs is None:
            return self.pass_set_sizes.astype(np.float64)
        rows = np.ascontiguousarray(self._outputs.results.T)
        if rows.shape[1] == 0:
            return np.full((len(self._counts), len(rows)), float(len(rows)))
        as_scalars = rows.view(np.dtype((np.void, rows[0].nbytes))).ravel()
        _, first, members, sizes = np.unique(
            as_scalars, return_index=True, return_inverse=True, return_counts=True
        )
        distinct = rows[first].T
        soft_group_sizes = np.empty((len(self._counts), len(sizes)))
        differ = np.zeros((len(sizes), len(sizes)))
        seen = 0
        for row, inputs in enumerate(self._known):
            for results in distinct[seen:inputs]:
                differ += results[:, np.newaxis] != results
            seen = inputs
            soft_group_sizes[row] = np.exp(-_SOFT_DECAY * differ / max(inputs, 1)) @ sizes
        return soft_group_sizes[:, members]

    @property
    def support(self) -> NDArray[np.float64]:
        """Support ``ln K + ln a``, with K ``soft_group_sizes`` and a ``agreement``."""
        return np.asarray(np.log(self.soft_group_sizes) + floored_log(self.agreement))

    @cached_property
    def returned(self) -> NDArray[np.bool_]:
        """True if the candidate returned a value on any input, or if no input is known."""
        shape = (len(self._counts), self._evidence.votes.candidates)
        if self._outputs is None:
            return np.ones(shape, np.bool_)
        ever = np.zeros((len(self._outputs.returned) + 1, shape[1]), np.bool_)
        ever[0] = True
        np.logical_or.accumulate(self._outputs.returned, axis=0, out=ever[1:])
        return ever[self._known]

    @property
    def inputs(self) -> NDArray[np.intp]:
        """Number of inputs with known outputs of at least half of the candidates, intp (counts, 1)."""
        if self._outputs is None:
            return np.zeros((len(self._counts), 1), np.intp)
        return self._known[:, np.newaxis]

    @property
    def best_pass_rate(self) -> NDArray[np.float64]:
        """Best pass rate r: ``(max s + 1) / (m + 2)``, shape (counts, 1).

        Posterior mean under a uniform prior. A correct candidate passes good tests, so a low rate means
        wrong tests.
        """
        return np.asarray((self.tests_passed.max(axis=1, keepdims=True) + 1) / (self.tests + 2))

    @property
    def batch_best_pass_rate(self) -> NDArray[np.float64]:
        """R, ``BatchStatistics.best_pass_rate``, shape (counts, 1); ``best_pass_rate`` without a batch."""
        batch = self._evidence.batch
        return self.best_pass_rate if batch is None else batch.best_pass_rate[self._counts][:, np.newaxis]

    @property
    def batch_minority_ratio(self) -> NDArray[np.float64]:
        """``BatchStatistics.minority_ratio``, shape (counts, 1); 0.25 without a batch."""
        batch = self._evidence.batch
        return self._of_batch(None if batch is None else batch.minority_ratio, USUAL_MINORITY_RATIO)

    @property
    def batch_consistency(self) -> NDArray[np.float64]:
        """``BatchStatistics.consistency``, shape (counts, 1); 1 without a batch."""
        batch = self._evidence.batch
        return self._of_batch(None if batch is None else batch.consistency, 1.0)

    @property
    def trusted_weight(self) -> NDArray[np.float64]:
        """``BatchStatistics.trusted_weight``, shape (counts, 1); infinite without a batch."""
        batch = self._evidence.batch
        return self._of_batch(None if batch is None else batch.trusted_weight, np.inf)

    def _of_batch(self, values: NDArray[np.float64] | None, otherwise: float) -> NDArray[np.float64]:
        if values is None:
            return np.full((len(self._counts), 1), otherwise)
        return values[self._counts][:, np.newaxis]

    @property
    def has_outputs(self) -> bool:
        """True if outputs are recorded."""
        return self._outputs is not None

    @property
    def _known(self) -> NDArray[np.intp]:
        assert self._outputs is not None
        return self._outputs.known[self._counts]


def output_groups_or_pass_sets(evidence: Evidence) -> NDArray[np.intp]:
    """Output group of each candidate after all tests, or pass set without outputs; intp (candidates,)."""
    results = None if evidence.outputs is None else _widely_known(evidence.outputs).results
    if results is None or len(results) == 0:
        return evidence.votes.pass_sets()
    return np.unique(results.T, axis=0, return_inverse=True)[1].ravel()


def floored_log(values: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm; -50 for 0."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(values), _LOG_OF_ZERO)


def prefix_scores(passed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of tests passed after 0, 1, ..., all tests, int64 (tests + 1, candidates).

    Args:
        passed: bool (tests, candidates).
    """
    scores = np.zeros((passed.shape[0] + 1, passed.shape[1]), np.int64)
    np.cumsum(passed, axis=0, out=scores[1:])
    return scores


def prefix_group_sizes(rows: NDArray[np.bool_] | NDArray[np.int32]) -> NDArray[np.int64]:
    """Number of candidates with the same first m entries, itself included, for m = 0, 1, ..., all.

    In lexicographic order, candidates with equal first m entries are neighbours for every m. So a group
    ends where two neighbours differ.

    Args:
        rows: shape (entries, candidates), at least one candidate; entries are verdicts or outputs.

    Returns:
        int64 (entries + 1, candidates).
    """
    entries, candidates = rows.shape
    order = np.lexsort(rows[::-1]) if entries else np.arange(candidates)
    neighbours = rows[:, order]
    begins = np.zeros((entries + 1, candidates), np.bool_)  # True if a group begins at a candidate
    begins[:, 0] = True
    np.logical_or.accumulate(neighbours[:, 1:] != neighbours[:, :-1], axis=0, out=begins[1:, 1:])
    ends = np.ones_like(begins)  # True if one ends there
    ends[:, :-1] = begins[:, 1:]
    places = np.arange(candidates)
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, candidates)[:, ::-1], axis=1)[:, ::-1]
    sizes = np.empty((entries + 1, candidates), np.int64)
    sizes[:, order] = last - first + 1
    return sizes


def _widely_known(outputs: OutputMatrix) -> OutputMatrix:
    """The inputs with known outputs of at least half of the candidates.

    Another input would split an output group by whether an output is known.
    """
    kept = (outputs.results != UNKNOWN).mean(axis=1) >= 0.5
    before = np.concatenate([[0], np.cumsum(kept)])
    return OutputMatrix(outputs.results[kept], outputs.returned[kept], before[outputs.known])


def _shares(outputs: OutputMatrix) -> NDArray[np.float64]:
    """Share of the returned values on an input that equal the candidate's, float64 (inputs, candidates)."""
    inputs = len(outputs.results)
    values = int(outputs.results.max(initial=0)) + 1
    keys = np.arange(inputs)[:, np.newaxis] * values + np.maximum(outputs.results, 0)
    counts = np.bincount(keys[outputs.returned], minlength=inputs * values)
    of_all = np.maximum(outputs.returned.sum(axis=1, keepdims=True), 1)
    return np.where(outputs.returned, counts[keys] / of_all, 0.0)

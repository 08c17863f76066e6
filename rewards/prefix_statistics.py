"""Statistics of each candidate after the first m tests, for several m at once.

Selection rules compute their winners from them. Arrays have shape (counts, candidates) unless another is
stated. They hold no NaN. If equal candidates share a column (``Evidence.sizes``), there is one column for
them in all arrays, and each of them counts.
"""

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import UNKNOWN, BatchStatistics, Evidence, OutputMatrix

USUAL_MINORITY_RATIO = 0.25
"""Minority ratio without a batch: between the ratios of good tests and of bad ones."""

_LOG_OF_ZERO = -50.0  # below every sum that agreement can add
_SOFT_DECAY = 5.0  # a candidate that differs on 20 % of the inputs counts as exp(-1), about 1/3
_PAIRS_AT_ONCE = 2**17  # comparisons of outputs that still fit into a processor's cache
_UINT8_MAX = 255


_T = TypeVar("_T")


class _Once(Generic[_T]):
    """Property that is computed once for statistics and all their copies with other batches."""

    def __init__(self, compute: Callable[[Any], _T]) -> None:
        self._compute, self._name, self.__doc__ = compute, compute.__name__, compute.__doc__

    def __get__(self, statistics: "PrefixStatistics", _: type["PrefixStatistics"]) -> _T:
        computed = statistics.computed
        if self._name not in computed:
            computed[self._name] = self._compute(statistics)
        value: _T = computed[self._name]
        return value


class PrefixStatistics:
    """Statistics of a problem's candidates after the first m tests.

    Args:
        evidence: evidence on the problem. A pair that was not run counts as not passed.
        counts: ascending values of m.

    Attributes:
        evidence: the evidence.
        counts: intp (counts,), the counts.
        passed: bool (tests, candidates), pairs that were passed.
        sizes: int64 (candidates,), number of equal candidates that each column stands for.
        batch: statistics of the batch; None for a single problem.
        computed: statistics that are known already, by name; they do not depend on the batch.
    """

    def __init__(self, evidence: Evidence, counts: Sequence[int] | NDArray[np.intp]) -> None:
        self.evidence = evidence
        self.counts = np.asarray(counts, np.intp)
        self.passed = evidence.votes.passed()
        self.sizes = evidence.column_sizes
        self.batch = evidence.batch
        self.computed: dict[str, Any] = {}
        self._outputs = None if evidence.outputs is None else _widely_known(evidence.outputs, self.sizes)

    def with_batch(self, batch: BatchStatistics | None) -> "PrefixStatistics":
        """The same statistics with another batch. What is known already is not computed again."""
        other = copy.copy(self)
        other.batch = batch
        return other

    @property
    def parts(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp], "PrefixStatistics"]]:
        """Positions of counts, positions of the candidates that can win there, and their statistics.

        A candidate can win if it ran every test that all top scorers ran. Each count is in one part.
        """
        if self._running.all():
            return [(np.arange(len(self.counts)), np.arange(len(self.sizes)), self)]
        return [(rows, members, part.with_batch(self.batch)) for rows, members, part in self._parts]

    @_Once
    def _parts(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp], "PrefixStatistics"]]:
        rows_of: dict[bytes, list[int]] = {}
        for row, taking_part in enumerate(self._running):
            rows_of.setdefault(taking_part.tobytes(), []).append(row)
        parts = []
        for listed in rows_of.values():
            rows, members = np.asarray(listed), np.flatnonzero(self._running[listed[0]])
            if len(members) == len(self.sizes):
                part = self.at(rows)
            else:
                part = PrefixStatistics(self.evidence.of_candidates(members), self.counts[rows])
            parts.append((rows, members, part))
        return parts

    @_Once
    def _running(self) -> NDArray[np.bool_]:
        passed, run = self.tests_passed, self.evidence.votes.run()
        if run.all():
            return np.ones(passed.shape, np.bool_)
        top = (passed == passed.max(axis=1, keepdims=True)).astype(np.float32)
        skipped = (~run).astype(np.float32)
        needed = (np.arange(len(run)) < self.tests) & (top @ skipped.T == 0)
        return np.asarray(needed.astype(np.float32) @ skipped == 0)

    def at(self, rows: NDArray[np.intp]) -> "PrefixStatistics":
        """The statistics for some of the counts, by position. What is known is not computed again."""
        other = copy.copy(self)
        other.counts = self.counts[rows]
        other.computed = {
            name: value[rows] for name, value in self.computed.items() if isinstance(value, np.ndarray)
        }
        return other

    @property
    def candidates(self) -> int:
        """Number of candidates; each of several equal ones counts."""
        return int(self.sizes.sum())

    @property
    def tests(self) -> NDArray[np.intp]:
        """The counts, intp (counts, 1)."""
        return self.counts[:, np.newaxis]

    @_Once
    def tests_passed(self) -> NDArray[np.int64]:
        """Number of tests passed, s."""
        if len(self.counts) == 1:
            return np.asarray(self.passed[: self.counts[0]].sum(axis=0)[np.newaxis])
        return prefix_scores(self.passed)[self.counts]

    @_Once
    def tests_seen(self) -> NDArray[np.int64]:
        """Number of tests that at least one candidate passes, int64 (counts, 1)."""
        return np.concatenate([[0], np.cumsum(self.passed.any(axis=1))])[self.tests]

    @_Once
    def pass_set_sizes(self) -> NDArray[np.int64]:
        """Number of candidates that passed the same tests, itself included."""
        return _group_sizes(self.passed, self.sizes, self.counts)

    @_Once
    def output_group_sizes(self) -> NDArray[np.int64]:
        """Size of the output group, n: candidates with equal outputs on all inputs, itself included.

        Without outputs, ``pass_set_sizes``.
        """
        if self._outputs is None:
            return self.pass_set_sizes
        return _group_sizes(self._outputs.results, self.sizes, self._known)

    @_Once
    def agreement(self) -> NDArray[np.float64]:
        """Agreement a: share of the returned values that equal the candidate's own, mean over inputs.

        A candidate that returned no value on an input has share 0 there. Without known inputs, 1.
        """
        shape = (len(self.counts), len(self.sizes))
        if self._outputs is None:
            return np.ones(shape)
        sums = np.zeros((len(self._outputs.results) + 1, shape[1]))
        np.cumsum(_shares(self._outputs, self.sizes), axis=0, out=sums[1:])
        inputs = self._known[:, np.newaxis]
        return np.where(inputs, sums[self._known] / np.maximum(inputs, 1), 1.0)

    @property
    def soft_group_sizes(self) -> NDArray[np.float64]:
        """Soft group size K: sum over candidates of ``exp(-5 d)``, with d the share of inputs that differ.

        Without outputs, ``pass_set_sizes``.
        """
        return self._soft_groups[..., 0]

    @property
    def soft_tests_passed(self) -> NDArray[np.float64]:
        """Mean of the tests passed by all candidates, each with its weight in K.

        Without outputs, ``tests_passed``.
        """
        return self._soft_groups[..., 1]

    @_Once
    def _soft_groups(self) -> NDArray[np.float64]:
        passed = self.tests_passed.astype(np.float64)
        if self._outputs is None:
            return np.stack([self.pass_set_sizes, passed], axis=-1)
        rows = np.ascontiguousarray(self._outputs.results.T)
        if rows.shape[1] == 0:
            mean = np.broadcast_to(passed @ self.sizes[:, np.newaxis] / self.candidates, passed.shape)
            return np.stack([np.full(passed.shape, float(self.candidates)), mean], axis=-1)
        as_scalars = rows.view(np.dtype((np.void, rows[0].nbytes))).ravel()
        _, first, members = np.unique(as_scalars, return_index=True, return_inverse=True)
        of_group = np.zeros((len(self.sizes), len(first)))
        of_group[np.arange(len(self.sizes)), members] = self.sizes
        sums = np.empty((len(self.counts), len(first), 2))
        sums[..., 0], sums[..., 1] = of_group.sum(axis=0), passed @ of_group
        soft = _soft_sums(np.ascontiguousarray(rows[first].T), self._known, sums)[:, members]
        soft[..., 1] /= soft[..., 0]
        return soft

    @_Once
    def support(self) -> NDArray[np.float64]:
        """Support ``ln K + ln a``, with K ``soft_group_sizes`` and a ``agreement``."""
        return np.asarray(np.log(self.soft_group_sizes) + floored_log(self.agreement))

    @_Once
    def returned(self) -> NDArray[np.bool_]:
        """True if the candidate returned a value on any input, or if no input is known."""
        shape = (len(self.counts), len(self.sizes))
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
            return np.zeros((len(self.counts), 1), np.intp)
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
        if self.batch is None:
            return self.best_pass_rate
        return self._of_batch(self.batch.best_pass_rate)

    @property
    def batch_minority_ratio(self) -> NDArray[np.float64]:
        """``BatchStatistics.minority_ratio``, shape (counts, 1); 0.25 without a batch."""
        if self.batch is None:
            return np.full((len(self.counts), 1), USUAL_MINORITY_RATIO)
        return self._of_batch(self.batch.minority_ratio)

    def _of_batch(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        # A problem may have more tests than every problem that makes up the batch of a run.
        return values[np.minimum(self.counts, len(values) - 1)][:, np.newaxis]

    @property
    def has_outputs(self) -> bool:
        """True if outputs are recorded."""
        return self._outputs is not None

    @property
    def _known(self) -> NDArray[np.intp]:
        assert self._outputs is not None
        return self._outputs.known[self.counts]


def output_groups_or_pass_sets(evidence: Evidence) -> NDArray[np.intp]:
    """Output group of each candidate after all tests, or pass set without outputs; intp (candidates,)."""
    results = (
        None if evidence.outputs is None else _widely_known(evidence.outputs, evidence.column_sizes).results
    )
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


def _group_sizes(
    rows: NDArray[np.bool_] | NDArray[np.int32],
    column_sizes: NDArray[np.int64],
    counts: NDArray[np.intp],
) -> NDArray[np.int64]:
    """Number of candidates with the same first m entries, for several m; see :func:`prefix_group_sizes`."""
    if len(counts) > 1:
        return prefix_group_sizes(rows, column_sizes)[counts]
    entries = [column.tobytes() for column in np.ascontiguousarray(rows[: counts[0]].T)]
    number = {entry: position for position, entry in enumerate(dict.fromkeys(entries))}
    group = np.asarray([number[entry] for entry in entries])
    return np.asarray(np.bincount(group, column_sizes)[group][np.newaxis], np.int64)


def prefix_group_sizes(
    rows: NDArray[np.bool_] | NDArray[np.int32], column_sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number of candidates with the same first m entries, itself included, for m = 0, 1, ..., all.

    In lexicographic order, columns with equal first m entries are neighbours for every m. So a group ends
    where two neighbours differ.

    Args:
        rows: shape (entries, columns), at least one column; entries are verdicts or outputs.
        column_sizes: int64 (columns,), number of candidates that each column stands for.

    Returns:
        int64 (entries + 1, columns).
    """
    entries, columns = rows.shape
    order = np.lexsort(rows[::-1]) if entries else np.arange(columns)
    neighbours = rows[:, order]
    begins = np.zeros((entries + 1, columns), np.bool_)  # True if a group begins at a column
    begins[:, 0] = True
    np.logical_or.accumulate(neighbours[:, 1:] != neighbours[:, :-1], axis=0, out=begins[1:, 1:])
    ends = np.ones_like(begins)  # True if one ends there
    ends[:, :-1] = begins[:, 1:]
    up_to = np.cumsum(column_sizes[order])  # candidates up to each column, its own included
    before = np.maximum.accumulate(np.where(begins, up_to - column_sizes[order], 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, up_to, up_to[-1])[:, ::-1], axis=1)[:, ::-1]
    sizes = np.empty((entries + 1, columns), np.int64)
    sizes[:, order] = last - before
    return sizes


def _widely_known(outputs: OutputMatrix, sizes: NDArray[np.int64]) -> OutputMatrix:
    """The inputs with known outputs of at least half of the candidates.

    Another input would split an output group by whether an output is known.
    """
    kept = 2 * ((outputs.results != UNKNOWN) @ sizes) >= sizes.sum()
    if kept.all():
        return outputs
    before = np.concatenate([[0], np.cumsum(kept)])
    return OutputMatrix(outputs.results[kept], outputs.returned[kept], before[outputs.known])


def _shares(outputs: OutputMatrix, sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the returned values on an input that equal the candidate's, float64 (inputs, candidates)."""
    inputs = len(outputs.results)
    values = int(outputs.results.max(initial=0)) + 1
    keys = np.arange(inputs)[:, np.newaxis] * values + np.maximum(outputs.results, 0)
    weights = np.where(outputs.returned, sizes, 0)
    counts = np.bincount(keys.ravel(), weights.ravel(), minlength=inputs * values)
    of_all = np.maximum(weights.sum(axis=1, keepdims=True), 1)
    return np.where(outputs.returned, counts[keys] / of_all, 0.0)


def _soft_sums(
    results: NDArray[np.int32], known: NDArray[np.intp], sums: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums over output groups, each weighted by its similarity, float64 (counts, groups, sums).

    Args:
        results: int32 (inputs, groups), outputs of each output group.
        known: intp (counts,), ascending numbers of inputs that count, from the first.
        sums: float64 (counts, groups, sums), sums over the candidates of each group.
    """
    groups = results.shape[1]
    scales = -_SOFT_DECAY / np.maximum(known, 1)
    if results.size * groups <= _PAIRS_AT_ONCE and len(known) > 1:
        differ = np.zeros((len(results) + 1, groups, groups), np.int16)
        unequal = (results[:, :, np.newaxis] != results[:, np.newaxis]).astype(np.int16)
        np.add.accumulate(unequal, axis=0, out=differ[1:])
        exponents = differ[known] * scales[:, np.newaxis, np.newaxis]
        return np.asarray(np.exp(exponents, out=exponents) @ sums)
    soft_sums = np.empty(sums.shape)
    differ, similar = np.zeros((groups, groups), np.intp), np.empty((groups, groups))
    numbers = np.arange(len(results) + 1)
    for row, (before, after) in enumerate(itertools.pairwise([0, *known.tolist()])):
        for start in range(before, after, _UINT8_MAX):
            added = results[start : min(after, start + _UINT8_MAX)]
            unequal = added[:, :, np.newaxis] != added[:, np.newaxis]
            differ += np.add.reduce(unequal.view(np.uint8), axis=0, dtype=np.uint8)  # the fastest sum
        # There are fewer numbers of inputs than pairs of groups.
        np.exp(numbers[: after + 1] * scales[row]).take(differ, out=similar, mode="clip")
        soft_sums[row] = similar @ sums[row]
    return soft_sums

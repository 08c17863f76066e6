"""What candidates have to show as tests come in: after chosen counts of tests at once.

What selection rules need to say who would win after each number of tests without being asked for each.
Arrays have shape (counts, candidates), one row for each count.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import UNKNOWN, Evidence, OutputMatrix

USUAL_MINORITY_RATIO = 0.25
"""What is taken for :attr:`BatchStatistics.minority_ratio` where nothing is known of it: between good tests and bad."""

_NOTHING = -50.0  # in place of the logarithm of 0: below all that agreement can make up for
_KINSHIP_DECAY = 5.0  # a candidate that differs on a fifth of the inputs counts a third


class PrefixStatistics:
    """A problem's evidence after some counts of its tests.

    Args:
        evidence: every pair of candidate and test was run.
        counts: ascending numbers of tests.

    Attributes:
        verdicts: bool (tests, candidates), which of all the tests each candidate passed.
    """

    def __init__(self, evidence: Evidence, counts: Sequence[int]) -> None:
        self._evidence = evidence
        self._counts = np.asarray(counts, np.intp)
        self.verdicts = evidence.votes.passed()
        self._outputs = None if evidence.outputs is None else _telling(evidence.outputs)

    @property
    def tests(self) -> NDArray[np.intp]:
        """The counts, shape (counts, 1)."""
        return self._counts[:, np.newaxis]

    @cached_property
    def passed(self) -> NDArray[np.int64]:
        """Tests passed."""
        return prefix_scores(self.verdicts)[self._counts]

    @cached_property
    def pass_set_sizes(self) -> NDArray[np.int64]:
        """Candidates that passed the same tests, itself among them."""
        return prefix_group_sizes(self.verdicts)[self._counts]

    @cached_property
    def output_group_sizes(self) -> NDArray[np.int64]:
        """Candidates with the same outputs on all inputs known, itself among them.

        Without outputs, those that passed the same tests.
        """
        if self._outputs is None:
            return self.pass_set_sizes
        return prefix_group_sizes(self._outputs.results)[self._known]

    @cached_property
    def agreement(self) -> NDArray[np.float64]:
        """Mean over inputs of the share of candidates, of all that returned a value, with the same value.

        0 on an input for a candidate that returned none; 1 for all where no input is known.
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
        """Candidates of like behaviour: each counts ``exp(-5 d)``, d the share of inputs where it differs.

        Without outputs, the candidates that passed the same tests.
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
        latest_groups = rows[first].T
        soft_group_sizes = np.empty((len(self._counts), len(sizes)))
        differ = np.zeros((len(sizes), len(sizes)))
        seen = 0
        for row, inputs in enumerate(self._known):
            for results in latest_groups[seen:inputs]:
                differ += results[:, np.newaxis] != results
            seen = inputs
            soft_group_sizes[row] = np.exp(-_KINSHIP_DECAY * differ / max(inputs, 1)) @ sizes
        return soft_group_sizes[:, members]

    @property
    def support(self) -> NDArray[np.float64]:
        """What candidates say of each other: ``ln K + ln a``, K the kin and a the agreement."""
        return np.asarray(np.log(self.soft_group_sizes) + floored_log(self.agreement))

    @cached_property
    def returned(self) -> NDArray[np.bool_]:
        """Whether it returned a value on any input; true where no input is known."""
        shape = (len(self._counts), self._evidence.votes.candidates)
        if self._outputs is None:
            return np.ones(shape, np.bool_)
        ever = np.zeros((len(self._outputs.returned) + 1, shape[1]), np.bool_)
        ever[0] = True
        np.logical_or.accumulate(self._outputs.returned, axis=0, out=ever[1:])
        return ever[self._known]

    @property
    def inputs(self) -> NDArray[np.intp]:
        """Inputs on which the outputs of at least half of the candidates are known, shape (counts, 1)."""
        if self._outputs is None:
            return np.zeros((len(self._counts), 1), np.intp)
        return self._known[:, np.newaxis]

    @property
    def best_pass_rate(self) -> NDArray[np.float64]:
        """Share of the tests that the best candidate passes, shape (counts, 1), drawn towards a half.

        ``(s + 1) / (m + 2)``: the mean of a belief that was even before the first test. A right candidate
        passes good tests, so where all fail many, the tests are wrong.
        """
        return np.asarray((self.passed.max(axis=1, keepdims=True) + 1) / (self.tests + 2))

    @property
    def batch_best_pass_rate(self) -> NDArray[np.float64]:
        """See :attr:`BatchStatistics.best_pass_rate`, shape (counts, 1); the problem's own without a batch."""
        batch = self._evidence.batch
        return self.best_pass_rate if batch is None else batch.best_pass_rate[self._counts][:, np.newaxis]

    @property
    def batch_minority_ratio(self) -> NDArray[np.float64]:
        """See :attr:`BatchStatistics.minority_ratio`, shape (counts, 1); what is usual where there is no batch."""
        batch = self._evidence.batch
        return self._of_batch(None if batch is None else batch.minority_ratio, USUAL_MINORITY_RATIO)

    @property
    def batch_consistency(self) -> NDArray[np.float64]:
        """See :attr:`BatchStatistics.consistency`, shape (counts, 1); 1 where there is no batch."""
        batch = self._evidence.batch
        return self._of_batch(None if batch is None else batch.consistency, 1.0)

    @property
    def trusted_weight(self) -> NDArray[np.float64]:
        """See :attr:`BatchStatistics.trusted_weight`, shape (counts, 1); infinite where there is no batch."""
        batch = self._evidence.batch
        return self._of_batch(None if batch is None else batch.trusted_weight, np.inf)

    def _of_batch(self, values: NDArray[np.float64] | None, otherwise: float) -> NDArray[np.float64]:
        if values is None:
            return np.full((len(self._counts), 1), otherwise)
        return values[self._counts][:, np.newaxis]

    @property
    def has_outputs(self) -> bool:
        """Whether anybody recorded what candidates gave back."""
        return self._outputs is not None

    @property
    def _known(self) -> NDArray[np.intp]:
        assert self._outputs is not None
        return self._outputs.known[self._counts]


def latest_groups(evidence: Evidence) -> NDArray[np.intp]:
    """Group number of each candidate, shape (candidates,): equal outputs, or equal verdicts without any."""
    results = None if evidence.outputs is None else _telling(evidence.outputs).results
    if results is None or len(results) == 0:
        return evidence.votes.pass_sets()
    return np.unique(results.T, axis=0, return_inverse=True)[1].ravel()


def floored_log(values: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm, and of 0 a number below all sums of others."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(values), _NOTHING)


def prefix_scores(passed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of tests that each candidate has passed, after 0, 1, ..., all tests.

    Args:
        passed: shape (tests, candidates).
    """
    scores = np.zeros((passed.shape[0] + 1, passed.shape[1]), np.int64)
    np.cumsum(passed, axis=0, out=scores[1:])
    return scores


def prefix_group_sizes(rows: NDArray[np.bool_] | NDArray[np.int32]) -> NDArray[np.int64]:
    """Number of candidates with the same first entries as each candidate, itself among them.

    Sorted by their entries, the first one first, candidates that agree on the first m lie side by side for
    every m; so a group is what lies between two neighbours that differ.

    Args:
        rows: shape (entries, candidates), at least one candidate; entries are verdicts or outputs.

    Returns:
        Shape (entries + 1, candidates), after 0, 1, ..., all entries.
    """
    entries, candidates = rows.shape
    order = np.lexsort(rows[::-1]) if entries else np.arange(candidates)
    neighbours = rows[:, order]
    begins = np.zeros((entries + 1, candidates), np.bool_)  # whether a group begins here
    begins[:, 0] = True
    np.logical_or.accumulate(neighbours[:, 1:] != neighbours[:, :-1], axis=0, out=begins[1:, 1:])
    ends = np.ones_like(begins)  # whether one ends here
    ends[:, :-1] = begins[:, 1:]
    places = np.arange(candidates)
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, candidates)[:, ::-1], axis=1)[:, ::-1]
    sizes = np.empty((entries + 1, candidates), np.int64)
    sizes[:, order] = last - first + 1
    return sizes


def _telling(outputs: OutputMatrix) -> OutputMatrix:
    """The inputs on which something is known of at least half of the candidates.

    Else an input that only few candidates reach would part these from all that they agree with.
    """
    kept = (outputs.results != UNKNOWN).mean(axis=1) >= 0.5
    before = np.concatenate([[0], np.cumsum(kept)])
    return OutputMatrix(outputs.results[kept], outputs.returned[kept], before[outputs.known])


def _shares(outputs: OutputMatrix) -> NDArray[np.float64]:
    """Share of the candidates that returned a value which returned this one, shape (inputs, candidates)."""
    inputs = len(outputs.results)
    latest_groups = int(outputs.results.max(initial=0)) + 1
    cells = np.arange(inputs)[:, np.newaxis] * latest_groups + np.maximum(outputs.results, 0)
    counts = np.bincount(cells[outputs.returned], minlength=inputs * latest_groups)
    of_all = np.maximum(outputs.returned.sum(axis=1, keepdims=True), 1)
    return np.where(outputs.returned, counts[cells] / of_all, 0.0)

"""Recorded outputs of candidates, and the evidence that selection rules use.

Candidates with equal outputs on all inputs are equivalent, whatever values the tests expect. Equal outputs
have equal digests: numbers to six significant digits, with ``1``, ``1.0`` and ``True`` equal; containers in
order; sets and dictionaries sorted; exceptions by type.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.calibration_fit import BatchCalibration
from testbudget.rewards.votes import Votes

NO_RESULT = -1
"""Number in ``RecordedOutputs.results`` for a call that was not made."""

UNKNOWN = -1
"""Number in ``OutputMatrix.results`` for an unknown output: no call was made, or its value is opaque."""


class CallEnding(IntEnum):
    """Ending of a call. ``OPAQUE``: the value is not plain data, so the output is unknown."""

    RETURNED = 0
    RAISED = 1
    TIMED_OUT = 2
    OUT_OF_MEMORY = 3
    KILLED = 4
    OPAQUE = 5


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call of a candidate's function.

    Attributes:
        test: index of the test that makes the call; None for an input that was run alone.
        function: name of the function.
        arguments: positional and keyword arguments as JSON text, in the notation of
            ``executors.execution.values``, from which the call can be made again.
        digest: hash of function and arguments, 64 bits.
    """

    test: int | None
    function: str
    arguments: str
    digest: int


@dataclass(frozen=True, slots=True)
class CallResult:
    """The output of a call.

    Attributes:
        ending: ending of the call.
        digest: 64 bits, of the value returned or the type raised; 0 for all other endings.
        example: one value with this digest, as text, cut to a readable length.
    """

    ending: CallEnding
    digest: int
    example: str


@dataclass(frozen=True, slots=True, eq=False)
class RecordedOutputs:
    """Outputs of candidates on inputs.

    Attributes:
        inputs: the calls, in the order in which the tests make them.
        outputs: the distinct outputs, each with an example.
        results: int32 (candidates, inputs), positions in ``outputs``, or ``NO_RESULT``.
    """

    inputs: tuple[RecordedCall, ...]
    outputs: tuple[CallResult, ...]
    results: NDArray[np.int32]


def select_outputs(
    recorded_outputs: RecordedOutputs,
    candidates: Sequence[int] | NDArray[np.intp] | None = None,
    inputs: Sequence[int] | NDArray[np.intp] | None = None,
) -> RecordedOutputs:
    """Recorded outputs of some candidates on some inputs.

    Args:
        recorded_outputs: outputs of all candidates and inputs.
        candidates: positions to keep, in this order; None for all.
        inputs: positions to keep, in this order; None for all.
    """
    results = recorded_outputs.results
    if candidates is not None:
        results = results[np.asarray(candidates, np.intp)]
    kept = recorded_outputs.inputs
    if inputs is not None:
        results = results[:, np.asarray(inputs, np.intp)]
        kept = tuple(kept[position] for position in inputs)
    used = np.unique(results[results != NO_RESULT])
    # The last entry is for NO_RESULT, which is position -1.
    renumbered = np.full(len(recorded_outputs.outputs) + 1, NO_RESULT, np.int32)
    renumbered[used] = np.arange(len(used))
    return RecordedOutputs(
        kept, tuple(recorded_outputs.outputs[output] for output in used), renumbered[results]
    )


def spread_over_candidates(
    recorded_outputs: RecordedOutputs, candidates: Sequence[int] | NDArray[np.intp], count: int
) -> RecordedOutputs:
    """Recorded outputs extended to more candidates, without results for the added ones.

    Args:
        recorded_outputs: outputs of some candidates.
        candidates: their positions among all candidates.
        count: number of all candidates.
    """
    results = np.full((count, len(recorded_outputs.inputs)), NO_RESULT, np.int32)
    results[np.asarray(candidates, np.intp)] = recorded_outputs.results
    return RecordedOutputs(recorded_outputs.inputs, recorded_outputs.outputs, results)


def outputs_by_test(recorded_outputs: RecordedOutputs) -> dict[int, RecordedOutputs]:
    """Recorded outputs of each test's calls, by index of the test, without inputs that were run alone."""
    positions: dict[int, list[int]] = {}
    for position, item in enumerate(recorded_outputs.inputs):
        if item.test is not None:
            positions.setdefault(item.test, []).append(position)
    return {test: select_outputs(recorded_outputs, inputs=columns) for test, columns in positions.items()}


def join_outputs(parts: Sequence[RecordedOutputs]) -> RecordedOutputs:
    """Recorded outputs of the same candidates on the inputs of all parts, one part after another.

    Equal outputs become one, with the first example.

    Raises:
        ValueError: there are no parts, or their numbers of candidates differ.
    """
    numbers: dict[tuple[CallEnding, int], int] = {}
    outputs: list[CallResult] = []
    columns = []
    for part in parts:
        renumbered = np.full(len(part.outputs) + 1, NO_RESULT, np.int32)
        for position, output in enumerate(part.outputs):
            number = numbers.setdefault((output.ending, output.digest), len(outputs))
            if number == len(outputs):
                outputs.append(output)
            renumbered[position] = number
        columns.append(renumbered[part.results])
    inputs = tuple(item for part in parts for item in part.inputs)
    return RecordedOutputs(inputs, tuple(outputs), np.concatenate(columns, axis=1))


def output_groups(recorded_outputs: RecordedOutputs) -> NDArray[np.intp]:
    """Output group of each candidate, intp (candidates,), numbered from 0 by first appearance.

    Members of a group have equal outputs on every input where both outputs are known, and there is at least
    one such input. Opaque outputs are unknown. An input that several tests share counts once. Candidates
    are placed in the order of their number of known outputs, largest first, each into the first group that
    it does not contradict.
    """
    results = _known_by_input(recorded_outputs)
    shared = np.empty((0, results.shape[1]), np.int32)  # known outputs of each group
    members = np.empty(len(results), np.intp)
    for candidate in np.argsort(-np.count_nonzero(results != NO_RESULT, axis=1), kind="stable"):
        row = results[candidate]
        both = (shared != NO_RESULT) & (row != NO_RESULT)
        fits = np.flatnonzero(both.any(axis=1) & ((shared == row) | ~both).all(axis=1))
        if len(fits):
            members[candidate] = fits[0]
            shared[fits[0]] = np.where(shared[fits[0]] == NO_RESULT, row, shared[fits[0]])
        else:
            members[candidate] = len(shared)
            shared = np.concatenate([shared, row[np.newaxis]])
    _, first, numbers = np.unique(members, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers]


def _known_by_input(recorded_outputs: RecordedOutputs) -> NDArray[np.int32]:
    """Results on distinct inputs, int32 (candidates, inputs), ``NO_RESULT`` where unknown.

    If a candidate returned different outputs on one input, the first counts.
    """
    opaque = [output.ending is CallEnding.OPAQUE for output in recorded_outputs.outputs]
    unknown = np.asarray([*opaque, True])[recorded_outputs.results]
    results = np.where(unknown, np.int32(NO_RESULT), recorded_outputs.results)
    _, first, columns = np.unique(
        np.asarray([item.digest for item in recorded_outputs.inputs], np.uint64),
        return_index=True,
        return_inverse=True,
    )
    known = results[:, first]
    for column, position in enumerate(columns):
        known[:, position] = np.where(
            known[:, position] == NO_RESULT, results[:, column], known[:, position]
        )
    return known


@dataclass(frozen=True, slots=True, eq=False)
class OutputMatrix:
    """Outputs of all candidates on a problem's distinct inputs, in the order of the tests.

    Attributes:
        results: int32 (inputs, candidates), equal for equal outputs, or ``UNKNOWN``.
        returned: bool (inputs, candidates), True if the call returned a value.
        known: intp (tests + 1,), number of inputs known after the first m tests. The first ``known[0]``
            inputs were run alone, without an expected value.
    """

    results: NDArray[np.int32]
    returned: NDArray[np.bool_]
    known: NDArray[np.intp]

    @classmethod
    def of(
        cls, recorded_outputs: RecordedOutputs, programs: NDArray[np.intp], tests: Sequence[int]
    ) -> "OutputMatrix":
        """The outputs on the inputs of some tests, and on the inputs that were run alone.

        An input of several tests counts once, at the first of them.

        Args:
            recorded_outputs: outputs of a problem's distinct programs.
            programs: intp (candidates,), row of each candidate's program in ``recorded_outputs``.
                Candidates with the same program count separately.
            tests: indices of the tests, in the order of their votes.
        """
        return OutputTable.of(recorded_outputs, programs).matrix(tests)


@dataclass(frozen=True, slots=True, eq=False)
class OutputTable:
    """Recorded outputs of all candidates as arrays, to make matrices of tests in several orders.

    Attributes:
        tests: intp (inputs,), index of the test that makes each call; -1 for an input that was run alone.
        digests: uint64 (inputs,), equal for equal inputs.
        results: int32 (inputs, candidates), equal for equal outputs, or ``UNKNOWN``.
        returned: bool (inputs, candidates), True if the call returned a value.
    """

    tests: NDArray[np.intp]
    digests: NDArray[np.uint64]
    results: NDArray[np.int32]
    returned: NDArray[np.bool_]

    @classmethod
    def of(cls, recorded_outputs: RecordedOutputs, programs: NDArray[np.intp]) -> Self:
        """The outputs of candidates, by the row of each candidate's program in ``recorded_outputs``."""
        inputs = recorded_outputs.inputs
        endings = np.asarray([*(output.ending for output in recorded_outputs.outputs), CallEnding.OPAQUE])
        results = np.ascontiguousarray(recorded_outputs.results.T)
        opaque = endings[results] == CallEnding.OPAQUE
        returned = endings[results] == CallEnding.RETURNED
        return cls(
            np.asarray([-1 if item.test is None else item.test for item in inputs], np.intp),
            np.asarray([item.digest for item in inputs], np.uint64),
            np.where(opaque, np.int32(UNKNOWN), results)[:, programs],
            returned[:, programs],
        )

    def of_candidates(self, candidates: NDArray[np.intp]) -> Self:
        """The outputs of some candidates, in this order."""
        return replace(self, results=self.results[:, candidates], returned=self.returned[:, candidates])

    def matrix(self, tests: Sequence[int] | NDArray[np.intp]) -> OutputMatrix:
        """The outputs on the inputs of some tests, and on the inputs that were run alone.

        Args:
            tests: indices of the tests, in the order of their votes.
        """
        order_of = np.full(max(self.tests.max(initial=-1), max(tests, default=-1)) + 2, -1)
        order_of[np.asarray(tests, np.intp)] = np.arange(1, len(tests) + 1)
        order_of[-1] = 0  # of an input that was run alone
        first_test = order_of[self.tests]
        order = np.argsort(first_test, kind="stable")
        order = order[first_test[order] >= 0]
        first = order[np.sort(np.unique(self.digests[order], return_index=True)[1])]
        known = np.searchsorted(first_test[first], np.arange(len(tests) + 1), side="right")
        return OutputMatrix(self.results[first], self.returned[first], known)


@dataclass(frozen=True, slots=True, eq=False)
class BatchStatistics:
    """Quality of the tests of all problems of a batch, by number of tests.

    Attributes:
        best_pass_rate: float64 (tests + 1,), share of the tests that a problem's best candidate passes,
            mean over problems. Correct candidates pass good tests, so a low rate means wrong tests.
        minority_ratio: float64 (tests + 1,), share of the tests that the minority passes, divided by that
            of the majority. The majority are a problem's candidates with the highest agreement. Agreement
            needs no expected values, so a ratio near 1 means that tests do not discriminate. A prior
            shrinks it towards 1/4, more so in a small batch.
        calibration: calibrations by number of tests, for the rule `calibrated`.
    """

    best_pass_rate: NDArray[np.float64]
    minority_ratio: NDArray[np.float64]
    calibration: BatchCalibration


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Votes, outputs and batch of one problem: all that a selection rule uses.

    Attributes:
        votes: votes of the tests so far.
        outputs: outputs of the same candidates on the same tests; None if not recorded.
        batch: statistics of the batch; None for a single problem.
        sizes: int64 (columns,), number of equal candidates that each column of votes and outputs stands
            for; None for one each. See ``equivalence.merge_equal``.
    """

    votes: Votes
    outputs: OutputMatrix | None = None
    batch: BatchStatistics | None = None
    sizes: NDArray[np.int64] | None = None

    @property
    def column_sizes(self) -> NDArray[np.int64]:
        """``sizes``, or as many ones."""
        return np.ones(self.votes.candidates, np.int64) if self.sizes is None else self.sizes

    def first(self, tests: int) -> "Evidence":
        """The evidence of the first ``tests`` tests."""
        outputs = self.outputs
        if outputs is not None:
            inputs = outputs.known[tests]
            outputs = OutputMatrix(
                outputs.results[:inputs], outputs.returned[:inputs], outputs.known[: tests + 1]
            )
        return replace(self, votes=self.votes.first(tests), outputs=outputs)

    def of_tests(self, tests: NDArray[np.intp]) -> "Evidence":
        """The evidence of some tests, in this order.

        An input of several tests belongs to the first of them.
        """
        outputs = self.outputs
        if outputs is not None:
            added = np.diff(outputs.known, prepend=0)
            inputs = np.split(np.arange(outputs.known[-1]), outputs.known[:-1])
            chosen = np.concatenate([[0], tests + 1])
            outputs = OutputMatrix(
                outputs.results[np.concatenate([inputs[part] for part in chosen])],
                outputs.returned[np.concatenate([inputs[part] for part in chosen])],
                np.cumsum(added[chosen]),
            )
        votes = Votes.from_matrix(self.votes.passed()[tests], self.votes.run()[tests])
        return replace(self, votes=votes, outputs=outputs)

    def of_candidates(self, candidates: NDArray[np.intp]) -> "Evidence":
        """The evidence of some candidates, in this order."""
        outputs = self.outputs
        if outputs is not None:
            outputs = replace(
                outputs,
                results=outputs.results[:, candidates],
                returned=outputs.returned[:, candidates],
            )
        votes = Votes.from_matrix(self.votes.passed()[:, candidates], self.votes.run()[:, candidates])
        sizes = None if self.sizes is None else self.sizes[candidates]
        return replace(self, votes=votes, outputs=outputs, sizes=sizes)

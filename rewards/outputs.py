"""What candidates do: the calls that were made of them, and what each of them gave back.

Candidates that give the same back on all inputs behave alike, whatever the expected values of the tests
say. Equal outputs have equal digests: numbers to six significant digits with ``1``, ``1.0`` and ``True``
alike, containers in order, sets and dictionaries sorted, exceptions by their type.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.votes import Votes

NO_RESULT = -1
"""Stands in ``RecordedOutputs.results`` for a call that was not made of a candidate."""


class CallEnding(IntEnum):
    """How a call ended. ``OPAQUE``: with a value that is not plain data, so that nothing is known of it."""

    RETURNED = 0
    RAISED = 1
    TIMED_OUT = 2
    OUT_OF_MEMORY = 3
    KILLED = 4
    OPAQUE = 5


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call of a problem's code.

    Attributes:
        test: index of the test that makes the call, None for an input that was run alone.
        function: name of the function called.
        arguments: positional and keyword arguments as JSON text, in the notation of
            ``executors.execution.values``; enough to make the call again.
        digest: of function and arguments, 64 bits.
    """

    test: int | None
    function: str
    arguments: str
    digest: int


@dataclass(frozen=True, slots=True)
class CallResult:
    """What came out of a call.

    Attributes:
        ending: how the call ended.
        digest: of the value returned or the type raised, 64 bits; 0 for all other endings.
        example: one value with this digest, as text for people, cut to a readable length.
    """

    ending: CallEnding
    digest: int
    example: str


@dataclass(frozen=True, slots=True, eq=False)
class RecordedOutputs:
    """What candidates gave back on inputs.

    Attributes:
        inputs: the calls, in the order in which a test makes them.
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
    """Some rows and columns of a behaviour, with the outputs that occur in them.

    Args:
        behaviour: the whole.
        candidates, inputs: positions to keep, in the order wanted; None keeps all.
    """
    results = recorded_outputs.results
    if candidates is not None:
        results = results[np.asarray(candidates, np.intp)]
    kept = recorded_outputs.inputs
    if inputs is not None:
        results = results[:, np.asarray(inputs, np.intp)]
        kept = tuple(kept[position] for position in inputs)
    used = np.unique(results[results != NO_RESULT])
    renumbered = np.full(
        len(recorded_outputs.outputs) + 1, NO_RESULT, np.int32
    )  # the last is NO_RESULT's own
    renumbered[used] = np.arange(len(used))
    return RecordedOutputs(
        kept, tuple(recorded_outputs.outputs[output] for output in used), renumbered[results]
    )


def spread_over_candidates(
    recorded_outputs: RecordedOutputs, candidates: Sequence[int] | NDArray[np.intp], count: int
) -> RecordedOutputs:
    """The same results as those of some of more candidates; of the others none is known.

    Args:
        behaviour: of some candidates.
        candidates: their positions among all.
        count: how many there are in all.
    """
    results = np.full((count, len(recorded_outputs.inputs)), NO_RESULT, np.int32)
    results[np.asarray(candidates, np.intp)] = recorded_outputs.results
    return RecordedOutputs(recorded_outputs.inputs, recorded_outputs.outputs, results)


def outputs_by_test(recorded_outputs: RecordedOutputs) -> dict[int, RecordedOutputs]:
    """The calls of each test by themselves, by the test's index, without inputs that were run alone."""
    positions: dict[int, list[int]] = {}
    for position, item in enumerate(recorded_outputs.inputs):
        if item.test is not None:
            positions.setdefault(item.test, []).append(position)
    return {test: select_outputs(recorded_outputs, inputs=columns) for test, columns in positions.items()}


def join_outputs(parts: Sequence[RecordedOutputs]) -> RecordedOutputs:
    """The same candidates on the inputs of several behaviours, one after another.

    Equal outputs become one, with the first of their examples.

    Raises:
        ValueError: there are no parts, or they are of different numbers of candidates.
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
    """Group number of each candidate, shape (candidates,), counted from 0 by first appearance.

    Candidates of one group have equal results on every input of which the results of both are known, and
    there is such an input. An opaque result is not known, nor is that of a call that was not made; an input
    that several tests use is one input. Where gaps leave a choice, the candidate of which more is known
    goes first, and each joins the first group that it does not contradict.
    """
    results = _known_by_input(recorded_outputs)
    shared = np.empty((0, results.shape[1]), np.int32)  # what is known of each group so far
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
    """Results as (candidates, distinct inputs), ``NO_RESULT`` for all that is not known.

    Where a candidate did different things on one input, the first counts.
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


# ~ """All that a selection rule may look at: the votes of a problem's tests, and what candidates gave back."""


UNKNOWN = -1
"""Stands in ``OutputMatrix.results`` where nothing is known: the call was not made, or its value is opaque."""


@dataclass(frozen=True, slots=True, eq=False)
class OutputMatrix:
    """What every candidate gave back on a problem's distinct inputs, in the order in which they came.

    Attributes:
        results: int32 (inputs, candidates), equal for equal outputs, or ``UNKNOWN``.
        returned: bool (inputs, candidates), whether it is a value: nothing was raised, no limit was hit.
        known: intp (tests + 1,), how many of the inputs are known after so many tests. Those before the
            first test were run alone, without an expected value.
    """

    results: NDArray[np.int32]
    returned: NDArray[np.bool_]
    known: NDArray[np.intp]

    @classmethod
    def of(
        cls, recorded_outputs: RecordedOutputs, programs: NDArray[np.intp], tests: Sequence[int]
    ) -> Self:
        """The outputs on the inputs that some tests use, and on those that were run alone.

        An input that several tests use counts once, where it comes first.

        Args:
            behaviour: of a problem's distinct programs.
            programs: shape (candidates,), the row of each candidate's program in the behaviour. Candidates
                that are the same program all count.
            tests: indices of the tests, in the order of their votes.
        """
        came = {test: place for place, test in enumerate(tests, start=1)}
        came_with = np.asarray(
            [0 if item.test is None else came.get(item.test, -1) for item in recorded_outputs.inputs],
            np.intp,
        )
        order = np.argsort(came_with, kind="stable")
        order = order[came_with[order] >= 0]
        digests = np.asarray([item.digest for item in recorded_outputs.inputs], np.uint64)
        first = order[np.sort(np.unique(digests[order], return_index=True)[1])]
        endings = np.asarray([*(output.ending for output in recorded_outputs.outputs), CallEnding.OPAQUE])
        results = recorded_outputs.results.T[first]
        opaque = endings[results] == CallEnding.OPAQUE
        returned = endings[results] == CallEnding.RETURNED
        known = np.searchsorted(came_with[first], np.arange(len(tests) + 1), side="right")
        return cls(np.where(opaque, np.int32(UNKNOWN), results)[:, programs], returned[:, programs], known)


@dataclass(frozen=True, slots=True, eq=False)
class BatchStatistics:
    """What many problems together say of their tests, by number of tests; a single problem says it poorly.

    Attributes:
        passable: float64 (tests + 1,), how many of its tests the best candidate of a problem passes: a mean
            share over problems. Right candidates pass good tests, so where all fail many, tests are wrong.
        indifference: float64 (tests + 1,), how often other candidates pass, for each time that those pass
            whose outputs most candidates agree with. Agreement needs no expected values, so where this is
            near 1 the tests do not tell right from wrong. Drawn towards a quarter, more so in a small
            batch.
        consistency: float64 (tests + 1,), which share of the tests that anybody passes the best candidate
            passes. Where tests contradict each other nobody passes most of them, so many are wrong.
        trusted_weight: float64 (tests + 1,), how much agreement may count beside tests passed: the most
            with which picks by the first half of the tests still pass nearly as many of the others as
            with the best weight. Infinite before the second test.
    """

    best_pass_rate: NDArray[np.float64]
    minority_ratio: NDArray[np.float64]
    consistency: NDArray[np.float64]
    trusted_weight: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of one problem's candidates.

    Attributes:
        votes: of the tests so far.
        outputs: of the same candidates and tests; None where nobody recorded them.
        batch: of the problems that this one came with, up to at least as many tests; None if it came alone.
    """

    votes: Votes
    outputs: OutputMatrix | None = None
    batch: BatchStatistics | None = None

    def first(self, tests: int) -> "Evidence":
        """What was known after so many of the tests."""
        outputs = self.outputs
        if outputs is not None:
            inputs = outputs.known[tests]
            outputs = OutputMatrix(
                outputs.results[:inputs], outputs.returned[:inputs], outputs.known[: tests + 1]
            )
        votes = Votes.from_matrix(self.votes.passed()[:tests], self.votes.run()[:tests])
        return replace(self, votes=votes, outputs=outputs)

    def of_tests(self, tests: NDArray[np.intp]) -> "Evidence":
        """What some of the tests alone show, in the order given.

        An input that several tests use belongs to the one that it came with.
        """
        outputs = self.outputs
        if outputs is not None:
            came = np.diff(outputs.known, prepend=0)
            inputs = np.split(np.arange(outputs.known[-1]), outputs.known[:-1])
            chosen = np.concatenate([[0], tests + 1])
            outputs = OutputMatrix(
                outputs.results[np.concatenate([inputs[part] for part in chosen])],
                outputs.returned[np.concatenate([inputs[part] for part in chosen])],
                np.cumsum(came[chosen]),
            )
        votes = Votes.from_matrix(self.votes.passed()[tests], self.votes.run()[tests])
        return replace(self, votes=votes, outputs=outputs)

    def of(self, candidates: NDArray[np.intp]) -> "Evidence":
        """What is known of some of the candidates."""
        outputs = self.outputs
        if outputs is not None:
            outputs = replace(
                outputs,
                results=outputs.results[:, candidates],
                returned=outputs.returned[:, candidates],
            )
        votes = Votes.from_matrix(self.votes.passed()[:, candidates], self.votes.run()[:, candidates])
        return replace(self, votes=votes, outputs=outputs)

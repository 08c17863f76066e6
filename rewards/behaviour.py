"""What candidates do: the calls that were made of them, and what each of them gave back.

Candidates that give the same back on all inputs behave alike, whatever the expected values of the tests
say. Equal outputs have equal digests: numbers to six significant digits with ``1``, ``1.0`` and ``True``
alike, containers in order, sets and dictionaries sorted, exceptions by their type.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

NO_RESULT = -1
"""Stands in ``Behaviour.results`` for a call that was not made of a candidate."""


class Ending(IntEnum):
    """How a call ended. ``OPAQUE``: with a value that is not plain data, so that nothing is known of it."""

    RETURNED = 0
    RAISED = 1
    TIMED_OUT = 2
    OUT_OF_MEMORY = 3
    KILLED = 4
    OPAQUE = 5


@dataclass(frozen=True, slots=True)
class Input:
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
class Output:
    """What came out of a call.

    Attributes:
        ending: how the call ended.
        digest: of the value returned or the type raised, 64 bits; 0 for all other endings.
        example: one value with this digest, as text for people, cut to a readable length.
    """

    ending: Ending
    digest: int
    example: str


@dataclass(frozen=True, slots=True, eq=False)
class Behaviour:
    """What candidates gave back on inputs.

    Attributes:
        inputs: the calls, in the order in which a test makes them.
        outputs: the distinct outputs, each with an example.
        results: int32 (candidates, inputs), positions in ``outputs``, or ``NO_RESULT``.
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    results: NDArray[np.int32]


def select(
    behaviour: Behaviour,
    candidates: Sequence[int] | NDArray[np.intp] | None = None,
    inputs: Sequence[int] | NDArray[np.intp] | None = None,
) -> Behaviour:
    """Some rows and columns of a behaviour, with the outputs that occur in them.

    Args:
        behaviour: the whole.
        candidates, inputs: positions to keep, in the order wanted; None keeps all.
    """
    results = behaviour.results
    if candidates is not None:
        results = results[np.asarray(candidates, np.intp)]
    kept = behaviour.inputs
    if inputs is not None:
        results = results[:, np.asarray(inputs, np.intp)]
        kept = tuple(kept[position] for position in inputs)
    used = np.unique(results[results != NO_RESULT])
    renumbered = np.full(len(behaviour.outputs) + 1, NO_RESULT, np.int32)  # the last is NO_RESULT's own
    renumbered[used] = np.arange(len(used))
    return Behaviour(kept, tuple(behaviour.outputs[output] for output in used), renumbered[results])


def spread(behaviour: Behaviour, candidates: Sequence[int] | NDArray[np.intp], count: int) -> Behaviour:
    """The same results as those of some of more candidates; of the others none is known.

    Args:
        behaviour: of some candidates.
        candidates: their positions among all.
        count: how many there are in all.
    """
    results = np.full((count, len(behaviour.inputs)), NO_RESULT, np.int32)
    results[np.asarray(candidates, np.intp)] = behaviour.results
    return Behaviour(behaviour.inputs, behaviour.outputs, results)


def by_test(behaviour: Behaviour) -> dict[int, Behaviour]:
    """The calls of each test by themselves, by the test's index, without inputs that were run alone."""
    positions: dict[int, list[int]] = {}
    for position, item in enumerate(behaviour.inputs):
        if item.test is not None:
            positions.setdefault(item.test, []).append(position)
    return {test: select(behaviour, inputs=columns) for test, columns in positions.items()}


def join(parts: Sequence[Behaviour]) -> Behaviour:
    """The same candidates on the inputs of several behaviours, one after another.

    Equal outputs become one, with the first of their examples.

    Raises:
        ValueError: there are no parts, or they are of different numbers of candidates.
    """
    numbers: dict[tuple[Ending, int], int] = {}
    outputs: list[Output] = []
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
    return Behaviour(inputs, tuple(outputs), np.concatenate(columns, axis=1))


def groups(behaviour: Behaviour) -> NDArray[np.intp]:
    """Group number of each candidate, shape (candidates,), counted from 0 by first appearance.

    Candidates of one group have equal results on every input of which the results of both are known, and
    there is such an input. An opaque result is not known, nor is that of a call that was not made; an input
    that several tests use is one input. Where gaps leave a choice, the candidate of which more is known
    goes first, and each joins the first group that it does not contradict.
    """
    results = _known_by_input(behaviour)
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


def _known_by_input(behaviour: Behaviour) -> NDArray[np.int32]:
    """Results as (candidates, distinct inputs), ``NO_RESULT`` for all that is not known.

    Where a candidate did different things on one input, the first counts.
    """
    opaque = [output.ending is Ending.OPAQUE for output in behaviour.outputs]
    unknown = np.asarray([*opaque, True])[behaviour.results]
    results = np.where(unknown, np.int32(NO_RESULT), behaviour.results)
    _, first, columns = np.unique(
        np.asarray([item.digest for item in behaviour.inputs], np.uint64),
        return_index=True,
        return_inverse=True,
    )
    known = results[:, first]
    for column, position in enumerate(columns):
        known[:, position] = np.where(
            known[:, position] == NO_RESULT, results[:, column], known[:, position]
        )
    return known

"""What candidates do: the calls that were made of them, and what each of them gave back.

Candidates that give the same back on all inputs behave alike, whatever the expected values of the tests
say. Equal outputs have equal digests: numbers to six significant digits with ``1``, ``1.0`` and ``True``
alike, containers in order, sets and dictionaries sorted, exceptions by their type.
"""

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

"""From the calls that were made in the sandbox, and what they gave back, to a table of behaviour."""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.languages.base import ResultKind
from testbudget.rewards.outputs import NO_RESULT, CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.problem import Verdict

_EXAMPLE_LENGTH = 120
_SIGNIFICANT_DIGITS = 6
_DEATHS: dict[int, CallEnding] = {
    Verdict.TIMED_OUT: CallEnding.TIMED_OUT,
    Verdict.OUT_OF_MEMORY: CallEnding.OUT_OF_MEMORY,
    Verdict.KILLED: CallEnding.KILLED,
}
_UNORDERED = ("set", "frozenset", "dict", "Counter", "defaultdict", "object", "map")


class BlockCalls(NamedTuple):
    """The calls behind a block's verdicts.

    Attributes:
        calls, results: their texts, as in ``executors.execution.languages.base``.
        paths: sequences of calls with their results, as alternating positions in the two.
        path_of: the path of each pair of the block.
    """

    calls: Sequence[str]
    results: Sequence[str]
    paths: Sequence[Sequence[int]]
    path_of: Sequence[int]


NO_CALLS = BlockCalls((), (), (), ())


def parse_calls(answer: bytes) -> BlockCalls:
    """What the sandbox tells of calls."""
    return BlockCalls(**json.loads(answer))


def call_text(given: RecordedCall) -> str:
    """The text of a call."""
    return json.dumps([given.function, *json.loads(given.arguments)], separators=(",", ":"))


def call_digest(function: str, arguments: Sequence[Any]) -> int:
    """The same 64 bits for calls that count as equal.

    Args:
        function: name of the function called.
        arguments: positional and keyword arguments, as parsed from their text.
    """
    return _digest([function, *arguments])


def outputs_on_tests(
    made: BlockCalls, pairs: NDArray[np.intp], candidates: int, tests: Sequence[int]
) -> RecordedOutputs:
    """What candidates did in tests.

    Args:
        made: calls and results.
        pairs: (pairs, 2), candidate and test of each path.
        candidates: how many there are.
        tests: the index of each test.
    """
    outputs, output_of = _outputs(made.results)
    columns: dict[tuple[int, int, int], int] = {}
    cells: dict[tuple[int, int], tuple[list[int], list[int]]] = {}  # columns and outputs of a test's path
    where = list(zip(pairs[:, 1].tolist(), made.path_of, strict=True))
    for test, path in dict.fromkeys(where):
        calls, results = made.paths[path][::2], made.paths[path][1::2]
        keys = [(test, place, call) for place, call in enumerate(calls)]
        cells[test, path] = (
            [columns.setdefault(key, len(columns)) for key in keys],
            [output_of[result] for result in results],
        )
    table = np.full((candidates, len(columns)), NO_RESULT, np.int32)
    for candidate, key in zip(pairs[:, 0].tolist(), where, strict=True):
        filled, found = cells[key]
        table[candidate, filled] = found
    order = sorted(columns)
    given = {call: _input(made.calls[call]) for _, _, call in order}
    inputs = tuple(RecordedCall(tests[test], *given[call]) for test, _, call in order)
    return RecordedOutputs(inputs, outputs, table[:, [columns[key] for key in order]])


def outputs_on_inputs(
    inputs: Sequence[RecordedCall], made: BlockCalls, pairs: NDArray[np.intp], candidates: int
) -> RecordedOutputs:
    """What candidates did on inputs that belong to no test; arguments as for :func:`outputs_on_tests`."""
    outputs, output_of = _outputs(made.results)
    results = np.full((candidates, len(inputs)), NO_RESULT, np.int32)
    for (candidate, given), path in zip(pairs.tolist(), made.path_of, strict=True):
        steps = made.paths[path]
        if len(steps):
            results[candidate, given] = output_of[steps[1]]
    alone = tuple(RecordedCall(None, given.function, given.arguments, given.digest) for given in inputs)
    return RecordedOutputs(alone, outputs, results)


def _input(call: str) -> tuple[str, str, int]:
    function, *arguments = json.loads(call)
    return function, json.dumps(arguments, separators=(",", ":")), call_digest(function, arguments)


def _outputs(results: Sequence[str]) -> tuple[tuple[CallResult, ...], list[int]]:
    """The distinct outputs, and which of them each result is."""
    outputs: dict[tuple[CallEnding, int], CallResult] = {}
    positions: dict[tuple[CallEnding, int], int] = {}
    output_of = []
    for text in results:
        output = _output(text)
        key = (output.ending, output.digest)
        outputs.setdefault(key, output)
        output_of.append(positions.setdefault(key, len(positions)))
    return tuple(outputs.values()), output_of


def _output(text: str) -> CallResult:
    try:
        return _output_of(json.loads(text))
    except (ValueError, RecursionError):  # the candidate may have written anything
        return CallResult(CallEnding.OPAQUE, 0, "")


def _output_of(content: object) -> CallResult:
    match content:
        case [ResultKind.RETURNED, value, *_]:
            return CallResult(CallEnding.RETURNED, _digest(value), readable_value(value))
        case [ResultKind.RAISED, [str(module), str(name), *_], *_]:
            said = name if module == "builtins" else f"{module}.{name}"
            return CallResult(CallEnding.RAISED, _digest([module, name]), said[:_EXAMPLE_LENGTH])
        case [ResultKind.ENDED, int(verdict)]:
            return CallResult(_DEATHS.get(verdict, CallEnding.KILLED), 0, "")
        case [ResultKind.CUT_SHORT, str(digest), str(beginning)]:
            return CallResult(CallEnding.RETURNED, _digest(digest), beginning[:_EXAMPLE_LENGTH])
    return CallResult(CallEnding.OPAQUE, 0, "")


def _digest(value: object) -> int:
    text = json.dumps(_normal(value), separators=(",", ":"), sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _normal(value: Any) -> Any:
    """The same for values that count as equal."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return _normal_float(value)
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        normal = _normal(inner)
        if tag in _UNORDERED and isinstance(normal, list):
            normal = sorted(normal, key=json.dumps)
        return {tag: normal}
    return value


def _normal_float(value: float) -> Any:
    if not math.isfinite(value):
        return {"float": str(value)}
    rounded = float(f"{value:.{_SIGNIFICANT_DIGITS - 1}e}")
    return int(rounded) if rounded.is_integer() else rounded


def readable_value(value: Any) -> str:
    """Plain data as a person would write it, cut to a readable length."""
    text = _shown(value)
    return text if len(text) <= _EXAMPLE_LENGTH else text[: _EXAMPLE_LENGTH - 1] + "…"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        if tag == "tuple" and isinstance(inner, list):
            return f"({', '.join(map(_shown, inner))}{',' if len(inner) == 1 else ''})"
        if tag in {"dict", "object"} and isinstance(inner, list):
            return "{" + ", ".join(": ".join(map(_shown, item)) for item in inner) + "}"
        return f"{tag}({_shown(inner)})"
    return repr(value)

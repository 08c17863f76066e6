"""Recorded outputs of candidates as digests, from the calls and results that the sandbox reports.

Two results have the same digest if they count as equal. Floats are rounded to six significant digits, equal
numbers of different types are equal, and unordered containers are sorted. Exceptions of the same type are
equal.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.languages.messages import ResultKind
from testbudget.executors.execution.stdin_calls import STDIN_CALL, stdin_call
from testbudget.executors.execution.values import UNORDERED_TAGS
from testbudget.rewards.outputs import NO_RESULT, CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.problem import Verdict

_EXAMPLE_LENGTH = 120
_SIGNIFICANT_DIGITS = 6
_ENDINGS: dict[int, CallEnding] = {
    Verdict.TIMED_OUT: CallEnding.TIMED_OUT,
    Verdict.OUT_OF_MEMORY: CallEnding.OUT_OF_MEMORY,
    Verdict.KILLED: CallEnding.KILLED,
}


class BlockCalls(NamedTuple):
    """Calls and results from which a block was judged.

    Attributes:
        calls, results: distinct texts, in the notation of ``executors.execution.languages.base``.
        paths: distinct sequences of calls with their results, as alternating positions in ``calls`` and
            ``results``.
        path_of: position in ``paths`` for each pair of the block, in the order of the pairs.
    """

    calls: Sequence[str]
    results: Sequence[str]
    paths: Sequence[Sequence[int]]
    path_of: Sequence[int]


NO_CALLS = BlockCalls((), (), (), ())


def parse_calls(answer: bytes) -> BlockCalls:
    """Read the calls from the answer of the sandbox, JSON with the fields of ``BlockCalls``."""
    return BlockCalls(**json.loads(answer))


def call_text(given: RecordedCall) -> str:
    """Write a call as text, in the notation of ``executors.execution.languages.base``."""
    return json.dumps([given.function, *json.loads(given.arguments)], separators=(",", ":"))


def recorded_input(stdin: str) -> RecordedCall:
    """Input of a program alone, for ``Runner.call``."""
    _, *arguments = json.loads(stdin_call(stdin))
    return RecordedCall(
        None, STDIN_CALL, json.dumps(arguments, separators=(",", ":")), call_digest(STDIN_CALL, arguments)
    )


def call_digest(function: str, arguments: Sequence[Any]) -> int:
    """Digest of a call, 64 bits; equal for calls that count as equal.

    Args:
        function: name of the function called.
        arguments: positional and keyword arguments, as JSON values.
    """
    return value_digest([function, *arguments])


def outputs_on_tests(
    block_calls: BlockCalls, pairs: NDArray[np.intp], candidates: int, tests: Sequence[int]
) -> RecordedOutputs:
    """Recorded outputs of candidates on the calls of tests.

    Args:
        block_calls: the calls of the block.
        pairs: intp (pairs, 2), candidate and test of each pair of the block.
        candidates: number of candidates.
        tests: the index of each test.

    Returns:
        One input for each distinct call at each place of the paths of a test. A candidate that made another
        call there, or none, has ``NO_RESULT``.
    """
    outputs, output_of = _distinct_outputs(block_calls.results)
    columns: dict[tuple[int, int, int], int] = {}
    columns_and_outputs: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    where = list(zip(pairs[:, 1].tolist(), block_calls.path_of, strict=True))
    for test, path in dict.fromkeys(where):
        calls, results = block_calls.paths[path][::2], block_calls.paths[path][1::2]
        keys = [(test, place, call) for place, call in enumerate(calls)]
        columns_and_outputs[test, path] = (
            [columns.setdefault(key, len(columns)) for key in keys],
            [output_of[result] for result in results],
        )
    table = np.full((candidates, len(columns)), NO_RESULT, np.int32)
    for candidate, key in zip(pairs[:, 0].tolist(), where, strict=True):
        filled, found = columns_and_outputs[key]
        table[candidate, filled] = found
    order = sorted(columns)
    parsed = {call: _parsed_call(block_calls.calls[call]) for _, _, call in order}
    inputs = tuple(RecordedCall(tests[test], *parsed[call]) for test, _, call in order)
    return RecordedOutputs(inputs, outputs, table[:, [columns[key] for key in order]])


def outputs_on_inputs(
    inputs: Sequence[RecordedCall], block_calls: BlockCalls, pairs: NDArray[np.intp], candidates: int
) -> RecordedOutputs:
    """Recorded outputs of candidates on inputs that belong to no test.

    Args:
        inputs: one call for each column.
        block_calls, pairs, candidates: as for ``outputs_on_tests``, with positions in ``inputs`` in place
            of tests.

    Returns:
        One column per input, in the given order; ``NO_RESULT`` where no result was reported.
    """
    outputs, output_of = _distinct_outputs(block_calls.results)
    results = np.full((candidates, len(inputs)), NO_RESULT, np.int32)
    for (candidate, given), path in zip(pairs.tolist(), block_calls.path_of, strict=True):
        steps = block_calls.paths[path]
        if len(steps):
            results[candidate, given] = output_of[steps[1]]
    without_test = tuple(
        RecordedCall(None, given.function, given.arguments, given.digest) for given in inputs
    )
    return RecordedOutputs(without_test, outputs, results)


def _parsed_call(call: str) -> tuple[str, str, int]:
    function, *arguments = json.loads(call)
    return function, json.dumps(arguments, separators=(",", ":")), call_digest(function, arguments)


def _distinct_outputs(results: Sequence[str]) -> tuple[tuple[CallResult, ...], list[int]]:
    """Distinct outputs, and the position among them of each result."""
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
    except (ValueError, RecursionError):  # a candidate may write anything
        return CallResult(CallEnding.OPAQUE, 0, "")


def _output_of(content: object) -> CallResult:
    match content:
        case [ResultKind.RETURNED, value, *_]:
            return CallResult(CallEnding.RETURNED, value_digest(value), readable_value(value))
        case [ResultKind.RAISED, [str(module), str(name), *_], *_]:
            error = name if module == "builtins" else f"{module}.{name}"
            return CallResult(CallEnding.RAISED, value_digest([module, name]), error[:_EXAMPLE_LENGTH])
        case [ResultKind.ENDED, int(verdict)]:
            return CallResult(_ENDINGS.get(verdict, CallEnding.KILLED), 0, "")
        case [ResultKind.CUT_SHORT, str(digest), str(beginning)]:
            return CallResult(CallEnding.RETURNED, value_digest(digest), beginning[:_EXAMPLE_LENGTH])
    return CallResult(CallEnding.OPAQUE, 0, "")


def value_digest(value: object) -> int:
    """Digest of a value, 64 bits; equal for values that count as equal.

    Args:
        value: the value in the notation of ``executors.execution.values``, parsed.
    """
    text = json.dumps(_normal(value), separators=(",", ":"), sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _normal(value: Any) -> Any:
    """Canonical form: equal for values that count as equal."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return _normal_float(value)
    if isinstance(value, list):
        return [_normal(item) for item in value]
    if isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        normal = _normal(inner)
        if tag in UNORDERED_TAGS and isinstance(normal, list):
            normal = sorted(normal, key=json.dumps)
        return {tag: normal}
    return value


def _normal_float(value: float) -> Any:
    if not math.isfinite(value):
        return {"float": str(value)}
    rounded = float(f"{value:.{_SIGNIFICANT_DIGITS - 1}e}")
    return int(rounded) if rounded.is_integer() else rounded


def readable_value(value: Any) -> str:
    """Plain data in the notation of source code, cut to 120 characters."""
    text = _source_text(value)
    return text if len(text) <= _EXAMPLE_LENGTH else text[: _EXAMPLE_LENGTH - 1] + "…"


def _source_text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_source_text, value))}]"
    if isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        if tag == "tuple" and isinstance(inner, list):
            return f"({', '.join(map(_source_text, inner))}{',' if len(inner) == 1 else ''})"
        if tag in {"dict", "object"} and isinstance(inner, list):
            return "{" + ", ".join(": ".join(map(_source_text, item)) for item in inner) + "}"
        return f"{tag}({_source_text(inner)})"
    return repr(value)

"""Tests made of pairs of an input and an expected output: of programs, and of functions."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from testbudget.rewards.comparison import Comparison
from testbudget.rewards.stdin_case import StdinCase
from testbudget.traces.rows.mistakes import RowError
from testbudget.traces.rows.row import shown

INPUT_NAMES = ("stdin", "input", "inputs")
OUTPUT_NAMES = ("expected_stdout", "output", "outputs", "expected_output", "expected")
"""Names of the fields of an input and of its expected output."""

_EQUAL = """\
def _is_expected(given, expected):
    if isinstance(given, (list, tuple)) and isinstance(expected, {sequences}):
        return len(given) == len(expected) and all(map(_is_expected, given, expected))
    if isinstance(given, dict) and isinstance(expected, dict):
        return given.keys() == expected.keys() and all(_is_expected(given[k], expected[k]) for k in given)
    if isinstance(given, (int, float)) and isinstance(expected, (int, float)):
        return given == expected or abs(given - expected) <= max({absolute!r}, {relative!r} * abs(expected))
    return given == expected
"""


def equality(comparison: Comparison, *, lists_are_tuples: bool) -> str:
    """Python function ``_is_expected(given, expected)`` with the tolerance of a comparison.

    Args:
        comparison: has the tolerances of numbers.
        lists_are_tuples: True if a tuple may stand for an expected list, which JSON makes of both.
    """
    sequences = "(list, tuple)" if lists_are_tuples else "type(given)"
    return _EQUAL.format(
        sequences=sequences, absolute=float(comparison.absolute), relative=float(comparison.relative)
    )


def case_of(pair: Any, place: str) -> tuple[Any, Any]:
    """Input and expected output of a pair: an object by usual names, or a list of both.

    Raises:
        RowError: it is neither, or one of the two is missing.
    """
    match pair:
        case [given, expected]:
            return given, expected
        case Mapping():
            given, expected = _named(pair, INPUT_NAMES), _named(pair, OUTPUT_NAMES)
            if given is not None and expected is not None and pair[given] is not None:
                return pair[given], pair[expected]
    raise RowError(f"{place} must have an input and an output but got {shown(pair)}")


def _named(pair: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Name among several that the pair has, one with a value first: tables fill gaps with null."""
    present = [name for name in names if name in pair]
    return next((name for name in present if pair[name] is not None), present[0] if present else None)


def paired(inputs: Any, outputs: Any, place: str) -> list[tuple[Any, Any]]:
    """Pairs of a column of inputs and one of outputs.

    Raises:
        RowError: they are no lists of one length.
    """
    if not isinstance(inputs, Sequence) or not isinstance(outputs, Sequence) or isinstance(inputs, str):
        raise RowError(f"{place} must hold lists of inputs and outputs but got {shown(inputs)}")
    if len(inputs) != len(outputs):
        raise RowError(
            f"{place} must hold as many inputs as outputs but got {len(inputs)} and {len(outputs)}"
        )
    return list(zip(inputs, outputs, strict=True))


def stdin_tests(pairs: Iterable[tuple[Any, Any]], place: str) -> tuple[str, ...]:
    """Tests of programs, one for each pair of texts; a list of lines is joined.

    Raises:
        RowError: an input or an output is no text.
    """
    return tuple(
        StdinCase(printed_text(given, place), printed_text(expected, place)).as_text()
        for given, expected in pairs
    )


def check_one_output(expected: Any, place: str) -> None:
    """Refuse a list of several outputs: it may be lines, or several right outputs.

    Raises:
        RowError: the expected output is such a list.
    """
    if isinstance(expected, list | tuple) and len(expected) != 1:
        raise RowError(
            f"{place} must hold one text as the output of an input but got {shown(expected)}; "
            "where several are right, comparison.checker decides"
        )


def printed_text(value: Any, place: str) -> str:
    """Text that a program reads or prints; a list of lines is joined, a number is written out.

    Raises:
        RowError: the value is none of these.
    """
    match value:
        case str():
            return value
        case bool():
            pass
        case int() | float():
            return json.dumps(value)
        case list() if all(isinstance(line, str) for line in value):
            return "\n".join(value)
    raise RowError(f"{place} must hold texts that a program reads and prints but got {shown(value)}")


def call_tests(
    entry_point: str, calls: Iterable[tuple[Any, Sequence[Any]]], comparison: Comparison, place: str
) -> tuple[str, ...]:
    """Tests of a Python function, one for each call.

    Args:
        entry_point: name of the function, or of a method of a class that is built without arguments.
        calls: arguments of each call, a list or an object by name, and the results that are right.
        comparison: its tolerances are used.
        place: subject of a sentence about a mistake.

    Raises:
        RowError: arguments are neither a list nor an object.
    """
    return tuple(_call_test(entry_point, arguments, right, comparison, place) for arguments, right in calls)


def _call_test(
    entry_point: str, arguments: Any, right: Sequence[Any], comparison: Comparison, place: str
) -> str:
    call = f"{callable_text(entry_point)}({', '.join(_arguments(arguments, place))})"
    if len(right) == 1 and not _needs_equality(right[0], comparison):
        return f"assert {call} == {literal(right[0])}\n"
    helper = equality(comparison, lists_are_tuples=True)
    if len(right) == 1:
        return f"{helper}\nassert _is_expected({call}, {literal(right[0])})\n"
    listed = ", ".join(map(literal, right))
    return f"{helper}\n_given = {call}\nassert any(_is_expected(_given, right) for right in [{listed}])\n"


def _arguments(arguments: Any, place: str) -> Iterator[str]:
    match arguments:
        case list() | tuple():
            yield from map(literal, arguments)
        case dict() if all(name.isidentifier() for name in arguments):
            yield from (f"{name}={literal(value)}" for name, value in arguments.items())
        case _:
            raise RowError(
                f"{place} must hold the arguments of each call as a list, or as an object by name, "
                f"but got {shown(arguments)}"
            )


def callable_text(entry_point: str) -> str:
    """Expression of Python for an entry point; a class is built before its method is called."""
    return re.sub(r"^([A-Z]\w*)\.", r"\1().", entry_point)


def _needs_equality(expected: Any, comparison: Comparison) -> bool:
    return bool(comparison.absolute or comparison.relative) or isinstance(expected, list | dict)


def literal(value: Any) -> str:
    """A JSON value in the notation of Python."""
    match value:
        case float() if value - value != 0:
            return f"float({str(value)!r})"
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case tuple():
            return f"({''.join(f'{literal(entry)}, ' for entry in value)})"
        case dict():
            return f"{{{', '.join(f'{literal(key)}: {literal(entry)}' for key, entry in value.items())}}}"
        case _:
            return repr(value)

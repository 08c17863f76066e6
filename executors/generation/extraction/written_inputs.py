"""Inputs without expected values in a model's answer: calls of a function, or texts on standard input.

A call is read wherever it stands in the answer: on a line, in a list, below a heading, or inside an
assertion whose expected value is dropped. Its arguments must be literals. A few expressions that models
write for long inputs count as literals too: ``[0] * 1000``, ``"a" + "b"``, ``10 ** 6``, ``float("inf")``,
``list(range(10))``. Nothing of the answer is executed.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from testbudget.executors.execution.stdin_calls import stdin_call
from testbudget.executors.execution.values import NotPlainError, encode
from testbudget.executors.generation.extraction.answers import Rejection, UnusableError
from testbudget.executors.generation.extraction.code_blocks import answer_text
from testbudget.executors.generation.extraction.python_statements import PARSER_ERRORS
from testbudget.executors.generation.extraction.stdin_tests import stdin_inputs

MAX_INPUTS = 64
"""Maximum number of inputs that are read from one answer."""

_MAX_CLOSINGS = 64  # parentheses that are tried as the end of a call
_MAX_CALLS = 512  # calls of an answer that are looked at
_MAX_SIZE = 10_000  # items of a container, characters of a text, bits of a number
_MAX_DEPTH = 64
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: operator.pow,
}
_CONVERSIONS: Mapping[str, Callable[..., Any]] = {
    name.__name__: name for name in (list, tuple, set, frozenset, dict, str, int, float, range)
}


def extract_inputs(text: str, entry_point: str | None, count: int = MAX_INPUTS) -> str:
    """Inputs in an answer, as the code of a test of kind ``INPUTS``: a JSON list of calls.

    Args:
        text: the answer.
        entry_point: name of the function that is called; None for programs that read standard input.
        count: maximum number of inputs, the first ones of the answer.

    Returns:
        The distinct inputs, each a call in the notation of ``executors.execution.values``.

    Raises:
        UnusableError: the answer holds no input.
    """
    text = answer_text(text)
    if entry_point is None:
        found = [stdin_call(given) for given in stdin_inputs(text)]
    else:
        found = list(_calls(text, entry_point))
    calls = list(dict.fromkeys(found))[:count]
    if not calls:
        raise UnusableError(Rejection.NO_INPUT)
    return f"[{','.join(calls)}]"


def _calls(text: str, name: str) -> Iterator[str]:
    """Calls of a function in a text, as texts."""
    for number, found in enumerate(re.finditer(rf"(?<![\w.]){re.escape(name)}[ \t]*\(", text)):
        if number == _MAX_CALLS:
            return
        node = _call_at(text, found.start())
        if node is None or any(keyword.arg is None for keyword in node.keywords):
            continue
        try:
            arguments = [_value(argument) for argument in node.args]
            keywords = {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
            yield encode([name, arguments, keywords])
        except (NotPlainError, _NotLiteralError, ArithmeticError, TypeError, ValueError):
            continue


def _call_at(text: str, start: int) -> ast.Call | None:
    """The call that begins at a place of a text; None if there is none."""
    end = start
    for _ in range(_MAX_CLOSINGS):
        end = text.find(")", end) + 1
        if not end:
            return None
        try:
            node = ast.parse(text[start:end], mode="eval").body
        except PARSER_ERRORS:
            continue
        return node if isinstance(node, ast.Call) else None
    return None


class _NotLiteralError(Exception):
    """Expression that is no literal, or one whose value is too large."""


def _value(node: ast.expr, depth: int = 0) -> Any:  # noqa: PLR0911 - a table
    """Value of a literal expression, at most ``_MAX_SIZE`` large."""
    if depth > _MAX_DEPTH:
        raise _NotLiteralError
    match node:
        case ast.Constant(value) if value is not ...:
            return value
        case ast.List(items):
            return _values(items, depth)
        case ast.Tuple(items):
            return tuple(_values(items, depth))
        case ast.Set(items):
            return set(_values(items, depth))
        case ast.Dict(keys, items):
            if None in keys:
                raise _NotLiteralError
            named = [key for key in keys if key is not None]
            return dict(zip(_values(named, depth), _values(items, depth), strict=True))
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand, depth + 1)
        case ast.UnaryOp(ast.UAdd(), operand):
            return +_value(operand, depth + 1)
        case ast.BinOp(left, symbol, right) if type(symbol) in _OPERATORS:
            return _combined(type(symbol), _value(left, depth + 1), _value(right, depth + 1))
        case ast.Call(ast.Name(name), items, []) if name in _CONVERSIONS:
            return _converted(name, _values(items, depth))
    raise _NotLiteralError


def _values(nodes: Sequence[ast.expr], depth: int) -> list[Any]:
    return [_value(node, depth + 1) for node in nodes]


def _combined(symbol: type[ast.operator], left: Any, right: Any) -> Any:
    """Result of an operator, if it is certain beforehand that it is not too large."""
    if symbol is ast.Pow:
        if not all(isinstance(one, int | float) for one in (left, right)) or abs(right) > _MAX_SIZE:
            raise _NotLiteralError
        size = abs(right) * _bits(left)
    elif all(isinstance(one, int | float) for one in (left, right)):
        size = _bits(left) + _bits(right)
    elif symbol is ast.Mult:
        size = _size(left) * _size(right)
    else:
        size = _size(left) + _size(right)
    if size > _MAX_SIZE:
        raise _NotLiteralError
    return _OPERATORS[symbol](left, right)


def _bits(value: float) -> float:
    return value.bit_length() + 1 if isinstance(value, int) else 64


def _size(value: Any) -> float:
    """Number of items or characters; of a whole number itself, since it may repeat a container."""
    if isinstance(value, int):
        return max(1, abs(value))
    return max(1, len(value)) if hasattr(value, "__len__") else 1


def _converted(name: str, arguments: Sequence[Any]) -> Any:
    if name == "range" and len(range(*arguments)) > _MAX_SIZE:
        raise _NotLiteralError
    value = _CONVERSIONS[name](*arguments)
    if hasattr(value, "__len__") and len(value) > _MAX_SIZE:
        raise _NotLiteralError
    return value

"""Operators of a candidate's objects that a test uses, and the doubts that follow from their answers.

A candidate's operator that is shown plain data of the test may answer anything. Its answer is believed if
plain data behind the object, told before the operator was shown anything, gives the same answer here.
"""

from __future__ import annotations

import collections
import operator
import pathlib
import re
from typing import Any

from testbudget.executors.execution.languages.python.objects import tables
from testbudget.executors.execution.languages.python.objects.contents import content_of
from testbudget.executors.execution.languages.python.objects.mirrors import MirrorMeta

_COMPARE = {
    "__eq__": operator.eq,
    "__ne__": operator.ne,
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
}
_REFLECTED = {
    f"__r{name}__": name for name in "add sub mul truediv floordiv mod pow and or xor matmul".split()
}
_OPERATORS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
}
DIFFERENCES = frozenset(
    f"__{prefix}{name}__"
    for name in ("sub", "truediv", "floordiv", "mod", "divmod", "xor")
    for prefix in ("", "r", "i")
)
"""Arithmetic that shows how far two values are apart."""

_CHANGES = frozenset(
    "add append appendleft clear copy discard extend extendleft get insert items keys pop popitem popleft "
    "push remove reverse rotate setdefault sort update values".split()
)
QUERIES = (
    frozenset(
        name
        for kind in (*tables.PLAIN_BASES, re.Pattern, pathlib.PurePosixPath)
        for name in dir(kind)
        if name[0] != "_"
    )
    | {"allclose", "array_equal", "equals", "isclose"}
) - _CHANGES
"""Methods of plain data that may compare it with their arguments."""

DICTS = frozenset({dict, collections.Counter, collections.OrderedDict, collections.defaultdict})
SEQUENCES = frozenset({list, tuple, set, frozenset, collections.deque})
_PLAIN_MODULES = frozenset(
    "builtins collections datetime decimal fractions numpy pathlib re uuid zoneinfo".split()
)
_NUMBERS = (int, float, complex)


def agrees(name: str, state: Any, other: Any, answer: Any) -> bool:
    """Return whether the plain data behind an object gives the same answer as its operator.

    Args:
        name: a comparison.
        state: attributes of the object by name, told before it was asked.
        other: plain operand.
        answer: answer of the object's operator.
    """
    if type(state) is not dict or name not in _COMPARE:
        return False
    values = list(state.values())
    alike = [value for value in values if type(value) is type(other) or _both_numbers(value, other)]
    if type(other) in {list, tuple} and len(values) == len(other) and len(values) > 1:
        alike = alike or [type(other)(values)]
    if len(alike) != 1 or not is_plain(alike[0]):
        return False
    try:
        return bool(_COMPARE[name](alike[0], other)) is answer
    except TypeError:
        return False


def scalars(content: Any) -> set[Any]:
    """Numbers and texts in plain containers."""
    found: set[Any] = set()
    pending, seen = [content], set()
    while pending:
        one = pending.pop()
        if type(one) in DICTS | SEQUENCES and id(one) not in seen:
            seen.add(id(one))
            pending += [*one, *dict.values(one)] if type(one) in DICTS else one
        elif type(one) in tables.SCALARS:
            found.add(one)
    return found


def _both_numbers(one: Any, other: Any) -> bool:
    return type(one) in _NUMBERS and type(other) in _NUMBERS


def is_plain(value: Any) -> bool:
    """Return whether no part of a value is an object of a class that is not of the library's plain data."""
    pending = [value]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        kind = type(one)
        if kind in tables.SCALARS or id(one) in seen:
            continue
        seen.add(id(one))
        if kind in DICTS:
            pending += [*dict.keys(one), *dict.values(one)]
        elif kind in SEQUENCES:
            pending += list(one)
        elif isinstance(kind, MirrorMeta) or kind.__module__ not in _PLAIN_MODULES:
            return False
    return True


def content_answer(name: str, target: Any, other: Any) -> Any:
    """Answer of the content of an instance of a subclass of plain data; None if there is none."""
    base = tables.plain_base(type(target))
    if base is None or not is_plain(other):
        return None
    try:
        if name == "__contains__":
            return other in content_of(target, base)
        return _COMPARE[name](content_of(target, base), other)
    except TypeError:
        return None


def content_call(target: Any, name: str, arguments: Any, keywords: dict[str, Any]) -> Any:
    """Answer of a method of the content of an instance of a subclass; None if there is none."""
    base = tables.plain_base(type(target))
    if base is None:
        return None
    try:
        return getattr(content_of(target, base), name)(*arguments, **keywords)
    except (AttributeError, TypeError, ValueError):
        return None


def same_answer(one: Any, other: Any) -> bool:
    """Return whether two answers are equal plain data of one type."""
    return (
        type(one) is type(other) and one is not None and is_plain(one) and is_plain(other) and one == other
    )


def follows(name: str, before: Any, other: Any, after: Any) -> bool:
    """Return whether a result follows from plain data behind the operand by the same operator.

    Args:
        name: the arithmetic operator.
        before: attributes of the object before.
        other: plain operand.
        after: attributes of the resulting object, or the plain result.
    """
    plain = name.strip("_").removeprefix("i") if name.startswith("__i") else name.strip("_")
    function = _OPERATORS.get(plain)
    if name in _REFLECTED:
        forward = _OPERATORS.get(_REFLECTED[name])
        function = None if forward is None else lambda one, two: forward(two, one)
    if function is None or type(before) is not dict:
        return False
    if type(after) is dict:
        changed = [_part_follows(function, before.get(key), other, value) for key, value in after.items()]
        return before.keys() == after.keys() and None not in changed and any(changed)
    numbers = [value for value in before.values() if type(value) in _NUMBERS]
    return len(numbers) == 1 and bool(_part_follows(function, numbers[0], other, after))


def _part_follows(function: Any, before: Any, other: Any, after: Any) -> bool | None:
    """Return True if a part follows, False if it is unchanged, None if neither."""
    if type(before) in {list, tuple} and type(after) is type(before) and len(before) == len(after):
        parts = [_part_follows(function, one, other, two) for one, two in zip(before, after, strict=True)]
        return None if None in parts else any(parts)
    try:
        if type(before) in _NUMBERS and function(before, other) == after and type(after) in _NUMBERS:
            return True
    except (TypeError, ArithmeticError):
        return None
    return False if type(before) is type(after) and is_plain(after) and before == after else None


def telling_parts(value: Any) -> set[Any]:
    """Plain values in a value that say something: no truth value, no None, no small number."""
    found: set[Any] = set()
    pending, seen = [value], set()
    while pending:
        one = pending.pop()
        kind = type(one)
        if kind in {int, float, str, bytes}:
            if one not in {0, 1, -1, ""}:
                found.add(one)
        elif kind in {list, tuple, set, frozenset, dict} and id(one) not in seen:
            seen.add(id(one))
            pending += [*one, *one.values()] if kind is dict else one
    return found

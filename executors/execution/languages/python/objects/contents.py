"""Content of plain data, past every operator of a subclass, and changes of containers in place."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import operator
import sys
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.objects.tables import MUTABLE_TAGS, plain_base

ARRAY_KINDS = "biufc"
"""Kinds of NumPy types that cross by value."""


class NotCarriedError(Exception):
    """Error for a value that cannot cross. The pair ends unconfirmed."""


def array_tag(value: Any) -> bool:
    """Return whether a value is a NumPy array of numbers."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray and value.dtype.kind in ARRAY_KINDS


_CONTENT: dict[type, Callable[[Any], Any]] = {
    int: lambda v: int.__add__(v, 0),
    bool: lambda v: bool.__and__(v, True),
    float: float.__pos__,
    str: str.__str__,
    bytes: lambda v: bytes.__getitem__(v, slice(None)),
    tuple: lambda v: tuple.__getitem__(v, slice(None)),
    list: lambda v: list.__getitem__(v, slice(None)),
    bytearray: lambda v: bytearray.__getitem__(v, slice(None)),
    complex: lambda v: complex(complex.__pos__(v)),
    set: lambda v: set().union(set.__iter__(v)),
    frozenset: lambda v: frozenset(frozenset.__iter__(v)),
    collections.OrderedDict: lambda v: collections.OrderedDict(collections.OrderedDict.items(v)),
    collections.Counter: lambda v: collections.Counter(dict.copy(v)),
    collections.defaultdict: lambda v: collections.defaultdict(v.default_factory, dict.copy(v)),
    collections.deque: lambda v: collections.deque(collections.deque.__iter__(v), v.maxlen),
    dict: dict.copy,
    fractions.Fraction: lambda v: fractions.Fraction(v._numerator, v._denominator),
    decimal.Decimal: lambda v: decimal.Decimal(decimal.Decimal.__str__(v)),
    datetime.timedelta: lambda v: datetime.timedelta(v.days, v.seconds, v.microseconds),
    datetime.datetime: lambda v: datetime.datetime.fromisoformat(datetime.datetime.isoformat(v)),
    datetime.date: lambda v: datetime.date(v.year, v.month, v.day),
}


def content_of(value: Any, base: type) -> Any:
    """Plain content of an instance of a subclass of plain data, as an exact value of that base."""
    return _CONTENT[base](value)


def items_of(value: Any, tag: str) -> list[tuple[Any, Any]]:
    """Pairs of a dict of any kind, past its operators."""
    if tag == "O":
        return list(collections.OrderedDict.items(value))
    return list(dict.items(value))


def tag_of(value: Any) -> str:
    """Tag of a shared container, or of an instance of a subclass of one."""
    if array_tag(value):
        return "n"
    found = MUTABLE_TAGS.get(type(value))
    if found is None:
        base = plain_base(type(value))
        found = MUTABLE_TAGS[base] if base is not None else "n"
    return found


def snapshot(value: Any, tag: str) -> Any:  # noqa: PLR0911 - a table
    """Content of a container to compare with later; members by identity."""
    if tag == "l":
        return list.copy(value)
    if tag in "dCD":
        return [*dict.keys(value), *dict.values(value)]
    if tag == "O":
        return [part for pair in collections.OrderedDict.items(value) for part in pair]
    if tag == "s":
        return list(set.__iter__(value))
    if tag == "y":
        return bytes(value)
    if tag == "n":
        return value.tobytes()
    return list(collections.deque.__iter__(value))


def is_unchanged(value: Any, tag: str, before: Any) -> bool:
    """Return whether a container holds what it held at the time of a snapshot."""
    now = snapshot(value, tag)
    if tag in "yn":
        return bool(now == before)
    return len(now) == len(before) and all(map(operator.is_, now, before))


def empty(tag: str, maximum: int | None = None) -> Any:
    """New empty container with a tag."""
    return collections.deque(maxlen=maximum) if tag == "q" else _EMPTY[tag]()


_EMPTY: dict[str, Callable[[], Any]] = {tag: kind for kind, tag in MUTABLE_TAGS.items()}


def clear(value: Any, tag: str) -> None:
    """Empty a container, past its operators."""
    kind = _EMPTY.get(tag)
    if tag not in "yn" and kind is not None:
        kind.clear(value)  # type: ignore[attr-defined]


def fill(value: Any, tag: str, items: Any) -> None:
    """Fill an empty container with decoded items, past its operators."""
    if tag == "l":
        list.extend(value, items)
    elif tag == "s":
        for item in items:
            set.add(value, item)
    elif tag == "y":
        value[:] = items
    elif tag == "q":
        collections.deque.extend(value, items)
    elif tag == "O":
        for key, item in items:
            collections.OrderedDict.__setitem__(value, key, item)
    else:
        for key, item in items:
            dict.__setitem__(value, key, item)


def new_array(dtype: str, content: str, shape: list[int]) -> Any:
    """NumPy array from its parts.

    Raises:
        ValueError: the parts do not describe an array of numbers.
    """
    import numpy as np

    kind = np.dtype(dtype)
    if kind.kind not in ARRAY_KINDS:
        raise ValueError(f"{dtype} is not a plain numeric type")
    return np.frombuffer(bytes.fromhex(content), kind).reshape(shape).copy()


def change_array(value: Any, new: Any) -> None:
    """Change an array in place to another one of the same shape and type.

    Raises:
        ValueError: the shapes or types differ.
    """
    if value.shape != new.shape or value.dtype != new.dtype:
        raise ValueError("the array has another shape or type")
    if value.flags.writeable:
        value[...] = new

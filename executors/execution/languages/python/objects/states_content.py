"""Plain data and attributes in the state of an object, read past its operators and properties."""

import collections
import datetime
import decimal
import fractions
import functools
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.objects.contents import ARRAY_KINDS
from testbudget.executors.execution.languages.python.objects.tables import plain_base

_MAX_EXPONENT = 400
_POINTER = 8
_CONSTANTS: dict[int, str] = {id(None): "None", id(...): "Ellipsis", id(NotImplemented): "NotImplemented"}
_EXCEPTIONS_OF_ARGUMENTS = (OSError, StopIteration, SystemExit, StopAsyncIteration)
"""Exceptions with fields of their own that follow from their arguments."""


class UnknownStateError(Exception):
    """Error for a value whose state cannot be read."""


def scalar(value: Any) -> Any:
    """JSON part for a value without identity and without parts; None for any other value."""
    kind = type(value)
    if kind is str:
        return value
    constant = _CONSTANTS.get(id(value))
    if constant is not None:
        return ["constant", constant]
    reader = _SCALARS.get(kind)
    if reader is not None:
        return reader(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.generic) and kind.__module__ == "numpy":
        if value.dtype.kind not in ARRAY_KINDS:
            raise UnknownStateError(kind.__name__)
        return _number(value.item())
    return None


def _number(value: Any) -> list[Any]:
    """Part for a number; equal numbers of different types have equal parts."""
    if isinstance(value, complex):
        real = _number(value.real)
        return real if value.imag == 0 else ["complex", real, _number(value.imag)]
    if isinstance(value, decimal.Decimal) and value.is_finite() and abs(value.adjusted()) > _MAX_EXPONENT:
        parts: Any = value.as_tuple()
        sign, digits, exponent = parts
        text = "".join(map(str, digits)).lstrip("0")
        kept = text.rstrip("0")
        return ["decimal", sign, kept, exponent + len(text) - len(kept)] if kept else ["number", "0"]
    if not isinstance(value, int):
        if value != value:  # noqa: PLR0124 - NaN equals nothing
            raise UnknownStateError("NaN")
        if value in (float("inf"), -float("inf")):
            return ["number", "inf" if value > 0 else "-inf"]
    numerator, denominator = value.as_integer_ratio()
    return (
        ["number", f"{numerator:x}"] if denominator == 1 else ["number", f"{numerator:x}/{denominator:x}"]
    )


def _datetime(value: datetime.datetime) -> list[Any]:
    zone = value.tzinfo
    if zone is None:
        return ["datetime", value.isoformat()]
    if type(zone) not in {datetime.timezone, zoneinfo.ZoneInfo}:
        raise UnknownStateError("a time zone")
    return ["datetime", value.astimezone(datetime.UTC).isoformat()]


def _range(value: range) -> list[Any]:
    if len(value) < 2:
        return ["range", len(value), *value]
    return ["range", len(value), value.start, value.step]


_SCALARS: dict[type, Callable[[Any], Any]] = {
    bool: _number,
    int: _number,
    float: _number,
    complex: _number,
    decimal.Decimal: _number,
    fractions.Fraction: _number,
    bytes: lambda value: ["bytes", value.hex()],
    range: _range,
    datetime.datetime: _datetime,
    datetime.date: lambda value: ["date", value.isoformat()],
    datetime.time: lambda value: ["time", value.isoformat()],
    datetime.timedelta: lambda value: ["timedelta", value.days, value.seconds, value.microseconds],
    datetime.timezone: lambda value: ["timezone", str(value)],
    zoneinfo.ZoneInfo: lambda value: ["zone", value.key],
    uuid.UUID: lambda value: ["uuid", value.hex],
    pathlib.PosixPath: lambda value: ["path", str(value)],
    pathlib.PurePosixPath: lambda value: ["pure path", str(value)],
    re.Pattern: lambda value: ["pattern", scalar(value.pattern), value.flags],
}


def _array(value: Any) -> tuple[str, list[Any]]:
    if value.dtype.kind not in ARRAY_KINDS + "O":
        raise UnknownStateError("an array")
    return "array", [tuple(value.shape), *value.ravel().tolist()]


def _member(kind: type, name: str) -> Callable[[Any], Any]:
    return vars(kind)[name].__get__  # type: ignore[no-any-return]


_fraction_parts = [_member(fractions.Fraction, name) for name in ("_numerator", "_denominator")]
_timedelta_parts = [_member(datetime.timedelta, name) for name in ("days", "seconds", "microseconds")]
_date_text = datetime.date.isoformat

CONTENTS: dict[type, Callable[[Any], tuple[str, list[Any]]]] = {
    tuple: lambda v: ("tuple", list(tuple.__iter__(v))),
    list: lambda v: ("list", list(list.__iter__(v))),
    set: lambda v: ("set", list(set.__iter__(v))),
    frozenset: lambda v: ("set", list(frozenset.__iter__(v))),
    dict: lambda v: ("dict", list(dict.items(v))),
    collections.Counter: lambda v: ("dict", list(dict.items(v))),
    collections.defaultdict: lambda v: ("dict", list(dict.items(v))),
    collections.OrderedDict: lambda v: ("ordered", list(collections.OrderedDict.items(v))),
    collections.deque: lambda v: ("deque", list(collections.deque.__iter__(v))),
    bytearray: lambda v: ("bytearray", [bytes(bytearray.__getitem__(v, slice(None)))]),
    bytes: lambda v: ("bytes", [bytes.__getitem__(v, slice(None))]),
    str: lambda v: ("str", [str.__str__(v)]),
    int: lambda v: ("int", [int.__add__(v, 0)]),
    bool: lambda v: ("int", [int.__add__(v, 0)]),
    float: lambda v: ("float", [float.__pos__(v)]),
    complex: lambda v: ("complex", [complex.__add__(v, 0)]),
    decimal.Decimal: lambda v: ("decimal", [decimal.Decimal(decimal.Decimal.__str__(v))]),
    fractions.Fraction: lambda v: ("fraction", [part(v) for part in _fraction_parts]),
    datetime.timedelta: lambda v: ("timedelta", [part(v) for part in _timedelta_parts]),
    datetime.datetime: lambda v: ("datetime", [datetime.datetime.isoformat(v)]),
    datetime.date: lambda v: ("date", [_date_text(v)]),
    BaseException: lambda v: ("exception", [vars(BaseException)["args"].__get__(v)]),
}
"""Name and parts of the content of plain data and exceptions, by base."""


def content_base(kind: type) -> type | None:
    """Key of `CONTENTS` for a class; None if its instances are their attributes alone.

    Raises:
        UnknownStateError: the instances hold what cannot be read.
    """
    numpy = sys.modules.get("numpy")
    array: type | None = None if numpy is None else numpy.ndarray
    if array is not None and issubclass(kind, array):
        if kind is not array:
            raise UnknownStateError("an array of another class")
        CONTENTS.setdefault(array, _array)
        return array
    if issubclass(kind, BaseException):
        return BaseException
    return plain_base(kind)


def attributes(value: Any, kind: type, base: type | None) -> dict[str, Any]:
    """Attributes and slots of an object, as its class stores them, without what ``cached_property`` keeps.

    Raises:
        UnknownStateError: the object holds more than those, or a name is no text.
    """
    found: dict[str, Any] = {}
    mro = type.__dict__["__mro__"].__get__(kind)
    slots = 0
    cached: set[str] = set()
    for owner in mro:
        if owner is base or owner is object:
            continue
        for name, member in type.__dict__["__dict__"].__get__(owner).items():
            if type(member) is functools.cached_property:
                cached.add(name)
            elif type(member) is types.MemberDescriptorType and owner not in CONTENTS:
                slots += 1
                try:
                    found[f"{owner.__name__}.{name}"] = member.__get__(value)
                except AttributeError:  # not set
                    continue
    _check_size(kind, mro, base, slots)
    names = _dict_of(value, mro)
    if not all(type(name) is str for name in names):
        raise UnknownStateError("a name that is no text")
    return {name: names[name] for name in names.keys() - cached} | found


def _dict_of(value: Any, mro: tuple[type, ...]) -> dict[str, Any]:
    for owner in mro:
        member = type.__dict__["__dict__"].__get__(owner).get("__dict__")
        if type(member) is types.GetSetDescriptorType:
            return dict(member.__get__(value))
    if type.__dict__["__dictoffset__"].__get__(mro[0]):
        raise UnknownStateError("__dict__ is replaced")
    return {}


def _size(kind: type) -> int:
    return int(type.__dict__["__basicsize__"].__get__(kind))


def _check_size(kind: type, mro: tuple[type, ...], base: type | None, slots: int) -> None:
    """Refuse a class whose instances are larger than what is read of them: a part is hidden in C.

    Exceptions of the library that have fields of their own are compared by their arguments.
    """
    if base is BaseException:
        library = next(owner for owner in mro if owner.__module__ == "builtins")
        if _size(library) > _size(BaseException) and not issubclass(library, _EXCEPTIONS_OF_ARGUMENTS):
            raise UnknownStateError(library.__name__)
        base = library
    read = _size(base or object) + _POINTER * slots
    for offset in ("__dictoffset__", "__weakrefoffset__"):
        if type.__dict__[offset].__get__(kind) and not type.__dict__[offset].__get__(base or object):
            read += _POINTER
    if _size(kind) > read:
        raise UnknownStateError(kind.__name__)

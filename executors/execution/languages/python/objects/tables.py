"""Fixed tables of the carrier: plain types, library classes with their canonical names, special methods.

A process that receives a name looks it up here and nowhere else. No name that a candidate sends is ever
imported, or read from a module or an object of the judge.
"""

from __future__ import annotations

import builtins
import collections
import collections.abc
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import numbers
import pathlib
import queue
import re
import string
import sys
import types
import uuid
import zoneinfo
from collections.abc import Iterator
from typing import Any

MUTABLE_TAGS: dict[type, str] = {
    list: "l",
    dict: "d",
    set: "s",
    bytearray: "y",
    collections.deque: "q",
    collections.Counter: "C",
    collections.OrderedDict: "O",
    collections.defaultdict: "D",
}
"""Mutable containers that cross by value and are shared, with their tags."""

PLAIN_BASES: tuple[type, ...] = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    tuple,
    frozenset,
    bytearray,
    collections.Counter,
    collections.OrderedDict,
    collections.defaultdict,
    collections.deque,
    list,
    dict,
    set,
    fractions.Fraction,
    decimal.Decimal,
    datetime.datetime,
    datetime.date,
    datetime.timedelta,
)
"""Types of plain data that a class of the candidate may derive from; a subclass comes before its base."""

BASE_NAMES: dict[str, type] = {kind.__name__: kind for kind in PLAIN_BASES}

CONVERTED_BASES = frozenset(
    {
        bool,
        complex,
        bytearray,
        fractions.Fraction,
        decimal.Decimal,
        datetime.datetime,
        datetime.date,
        datetime.timedelta,
    }
)
"""Plain bases whose subclasses cross as their content alone."""

SCALARS = frozenset({bool, int, str, type(None), float})

COMPARISONS = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"})
ORDERS = COMPARISONS - {"__eq__", "__ne__"}

_BINARY = "add sub mul truediv floordiv mod pow and or xor lshift rshift matmul divmod".split()
ARITHMETIC = frozenset(
    f"__{prefix}{name}__"
    for name in _BINARY
    for prefix in ("", "r", "i")
    if (prefix, name) != ("i", "divmod")
)
"""Binary operators, with their reflected and in-place forms."""

ASYNC_METHODS = frozenset({"__anext__", "__aenter__", "__aexit__"})

SPECIAL_METHODS = (
    COMPARISONS
    | ARITHMETIC
    | ASYNC_METHODS
    | {"__await__"}
    | frozenset(
        f"__{name}__"
        for name in (
            "call repr str format bytes hash len iter next getitem setitem delitem contains missing "
            "enter exit "
            "bool int float complex index abs neg pos invert round trunc floor ceil reversed "
            "length_hint aiter "
            "fspath dir get set delete set_name"
        ).split()
    )
)
"""Methods that Python looks up in a class. A mirror has those that its class has."""

READABLE_DUNDERS = frozenset(
    f"__{name}__"
    for name in (
        "name qualname doc dict annotations wrapped code defaults kwdefaults closure members match_args "
        "slots "
        "dataclass_fields dataclass_params signature self func class notes post_init module "
        "abstractmethods "
        "total version author all file text_signature subclasses init new repr str eq ne lt le gt ge "
        "hash len iter "
        "next getitem setitem delitem contains enter exit call add sub mul bool init_subclass mro bases"
    ).split()
) | {"_fields", "_field_defaults"}
"""Names with two underscores that may be read from a candidate's object by a request."""

LOCAL_EXCEPTION_NAMES = frozenset(
    {"__traceback__", "__cause__", "__context__", "__suppress_context__", "__notes__"}
)

BROAD_EXCEPTIONS = frozenset({Exception, BaseException, AssertionError})
"""Classes that catch a failed assertion of the test."""

ABSTRACT_CLASSES: dict[str, type] = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (collections.abc, numbers)
    for name in module.__all__
    if name != "ByteString"
}

_HARMLESS_CLASSES: tuple[type, ...] = (
    *PLAIN_BASES,
    object,
    type(None),
    type(...),
    type(NotImplemented),
    range,
    slice,
    datetime.time,
    datetime.timezone,
    datetime.tzinfo,
    uuid.UUID,
    pathlib.Path,
    pathlib.PosixPath,
    pathlib.PurePath,
    pathlib.PurePosixPath,
    re.Pattern,
    zoneinfo.ZoneInfo,
    enum.Enum,
    enum.IntEnum,
    enum.Flag,
    enum.IntFlag,
    enum.StrEnum,
    *ABSTRACT_CLASSES.values(),
)

_EXCEPTION_MODULES = (
    "asyncio.exceptions binascii concurrent.futures._base configparser contextlib copy csv _csv "
    "dataclasses "
    "decimal graphlib json.decoder numpy.exceptions numpy.linalg pickle _pickle queue _queue re shutil "
    "socket "
    "sqlite3 ssl statistics string struct subprocess tarfile tokenize urllib.error uuid "
    "xml.etree.ElementTree "
    "xml.parsers.expat zipfile zlib zoneinfo zoneinfo._common email.errors http.client lzma locale getopt "
    "optparse argparse"
).split()


def _opaque_types() -> Iterator[type]:
    """Library types whose instances stay where they are; a mirror shows their class."""
    for name in types.__all__:
        kind = getattr(types, name)
        if isinstance(kind, type) and kind not in {types.SimpleNamespace, types.ModuleType}:
            yield kind
    for kind in vars(itertools).values():
        if isinstance(kind, type):
            yield kind
    yield from (
        map,
        filter,
        zip,
        enumerate,
        reversed,
        memoryview,
        property,
        staticmethod,
        classmethod,
        super,
    )
    yield from (functools.partial, functools.partialmethod, functools.cached_property, string.Template)
    yield from (type(functools.lru_cache(max)), re.Match, io.StringIO, io.BytesIO, io.TextIOWrapper)
    yield from (queue.Queue, queue.LifoQueue, queue.PriorityQueue, queue.SimpleQueue, types.SimpleNamespace)
    yield from map(type, (iter([]), iter(()), iter({}), iter(set()), iter(""), iter(b""), iter(range(0))))
    yield from map(type, (iter({}.values()), iter({}.items()), reversed([]), reversed({})))


def _key(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


OPAQUE_TYPES: dict[str, type] = {_key(kind): kind for kind in _opaque_types()}
_VALUE_CLASSES: dict[str, type] = {_key(kind): kind for kind in _HARMLESS_CLASSES}
_BUILTIN_EXCEPTIONS: dict[str, type] = {
    _key(kind): kind
    for kind in vars(builtins).values()
    if isinstance(kind, type) and issubclass(kind, BaseException)
}
_VALUE_CLASSES |= _BUILTIN_EXCEPTIONS
_keys_of: dict[int, str] = {}


def library_class(key: str) -> type | None:
    """Class of the table with this canonical name; None if the table has none, or it is not loaded."""
    found = _VALUE_CLASSES.get(key)
    if found is None:
        module, _, name = key.rpartition(".")
        if module in _EXCEPTION_MODULES and module in sys.modules:
            kind = vars(sys.modules[module]).get(name)
            if isinstance(kind, type) and issubclass(kind, BaseException) and _key(kind) == key:
                found = _VALUE_CLASSES[key] = kind
    return found


def library_key(kind: type) -> str | None:
    """Canonical name of a class that the table holds; None if it holds it not."""
    known = _keys_of.get(id(kind))
    if known is None:
        module, name = kind.__module__, kind.__qualname__
        key = f"{module}.{name}"
        if type(module) is str and library_class(key) is kind:
            known = _keys_of[id(kind)] = key
        elif kind.__module__ in sys.stdlib_module_names and issubclass(kind, BaseException):
            return None
    return known


def plain_base(kind: type) -> type | None:
    """Type of plain data that a class derives from; None if it derives from none."""
    for one in type.__dict__["__mro__"].__get__(kind):
        if one in _PLAIN_BASES:
            return one  # type: ignore[no-any-return]
    return None


_PLAIN_BASES = frozenset(PLAIN_BASES)


def is_dunder(name: str) -> bool:
    """Return whether a name begins and ends with two underscores."""
    return name[:2] == "__" and name[-2:] == "__"


def broad_exception(value: Any) -> bool:
    """Return whether ``except`` with this value catches a failed assertion of the test."""
    if type(value) is tuple:
        return any(broad_exception(item) for item in value)
    return isinstance(value, type) and value in BROAD_EXCEPTIONS

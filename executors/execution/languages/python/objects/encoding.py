"""Values as the JSON parts of a message.

A scalar is itself; any other value is an array whose first item is its tag. Plain values cross by value,
containers are shared, and all other objects cross as numbers.
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import math
import operator
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.objects import descriptions
from testbudget.executors.execution.languages.python.objects.contents import (
    ARRAY_KINDS,
    NotCarriedError,
    array_tag,
    content_of,
    items_of,
)
from testbudget.executors.execution.languages.python.objects.registry import Registry
from testbudget.executors.execution.languages.python.objects.tables import (
    MUTABLE_TAGS,
    OPAQUE_TYPES,
    SCALARS,
    library_key,
    plain_base,
)

_LARGEST = 1 << 900  # a longer int is written in hexadecimal, which no limit on digits concerns
_LARGEST_BASE = 1 << 20
_SURROGATES = re.compile("[\ud800-\udfff]")
_FLAGS = frozenset({bool, type(None)})
_VIEWS = {type({}.keys()): "dk", type({}.values()): "dv", type({}.items()): "di"}


class Encoder(Registry):
    """Registry that writes values.

    Attributes:
        by_value: True while containers are copied instead of shared.
        leaves: immutable arguments of the running call, by number; the result may be one of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_value = False
        self.leaves: list[Any] = []
        self.leaf_ids: dict[int, int] = {}
        self._nan_numbers: dict[int, int] = {}
        self.nans: dict[int, float] = {0: math.nan}

    def encode(self, value: Any) -> Any:  # noqa: PLR0911 - a table
        """JSON part for a value.

        Raises:
            NotCarriedError: the value cannot cross.
        """
        kind = type(value)
        if kind in SCALARS:
            if self.leaf_ids and id(value) in self.leaf_ids:
                return ["&", self.leaf_ids[id(value)]]
            return self._encode_scalar(value, kind)
        tag = MUTABLE_TAGS.get(kind)
        if tag is not None:
            return self._encode_container(value, tag)
        number = self._their_ids.get(id(value))
        if number is not None:
            return ["p", number]
        if self.leaf_ids and id(value) in self.leaf_ids:
            return ["&", self.leaf_ids[id(value)]]
        if kind is tuple:
            return ["t", [self.encode(item) for item in value]]
        encoder = _ENCODERS.get(kind)
        if encoder is not None:
            return encoder(self, value)
        if array_tag(value):
            return self._encode_container(value, "n")
        if kind.__module__ == "numpy" and (part := _numpy_scalar(value)) is not None:
            return part
        return self.encode_object(value)

    def encode_key(self, value: Any) -> Any:
        """JSON part for a member of a set or a key, with the hash of what crosses as a number."""
        kind = type(value)
        if kind in SCALARS or id(value) in self._their_ids:
            return self.encode(value)
        part = self.encode(value)
        if type(part) is list and part[0] in {"o", "K"} and (hashed := self.hash_of(value)) is not None:
            return ["h", hashed, part]
        return part

    def encode_object(self, value: Any) -> Any:
        """JSON part for an object that stays in this process."""
        if isinstance(value, type):
            return self.encode_class(value)
        number = self.exported(value)
        known = number is not None
        if number is None:
            number = self.export(value)
        kind = type(value)
        if isinstance(value, BaseException):
            part = ["o", number, self.class_reference(kind)]
            return part if known else [*part, self._encode_exception(value)]
        part = ["o", number, self.instance_class(kind)]
        base = plain_base(kind)
        return part if known or base is None else [*part, self._encode_content(value, base, number)]

    def hash_of(self, value: Any) -> int | None:
        """Hash to tell the other process; None for the judge, which tells none."""
        raise NotImplementedError

    def export_shared_object(self, number: int, value: Any, tag: str) -> None:
        """Share the content of an instance of a subclass of a container under the number of the object."""
        self.share(number, value, tag)
        del self._shared_ids[id(value)]  # it crosses as an object, not as a container

    # Classes

    def encode_class(self, kind: type) -> Any:
        """JSON part for a class as a value."""
        key = library_key(kind)
        if key is not None:
            return ["k", key]
        return self._described(kind)

    def class_reference(self, kind: type) -> Any:
        """JSON part for a class that another part refers to: a base, or the class of an exception."""
        key = library_key(kind)
        return ["k", key] if key is not None else self._described(kind)

    def instance_class(self, kind: type) -> Any:
        """JSON part for the class of an object that crosses as a number."""
        key = f"{kind.__module__}.{kind.__qualname__}"
        if OPAQUE_TYPES.get(key) is kind:
            return ["T", key]
        return self._described(kind)

    def _described(self, kind: type) -> Any:
        number = self.exported(kind)
        if number is not None:
            return ["K", number]
        number = self.export(kind)
        bases = [self.class_reference(base) for base in descriptions.carried_bases(kind)]
        return ["K", number, self.describe(kind), bases]

    def describe(self, kind: type) -> dict[str, Any]:
        """Description of a class of this process."""
        return descriptions.describe(kind)

    # Parts

    def _encode_scalar(self, value: Any, kind: type) -> Any:
        if kind is float and value != value:  # noqa: PLR0124 - NaN
            return ["nan", self._nan_number(value)]
        if kind is str and not value.isascii() and _SURROGATES.search(value):
            return ["S", value.encode("utf-32-le", "surrogatepass").hex()]
        if kind is int and not -_LARGEST < value < _LARGEST:
            return ["I", hex(value)]
        return value

    def _nan_number(self, value: float) -> int:
        if value is math.nan:  # noqa: PLW0177 - containers find NaN by identity alone
            return 0
        number = self._nan_numbers.get(id(value))
        if number is None:
            number = self._nan_numbers[id(value)] = self.new_number()
            self.nans[number] = value
        return number

    def remember_nan(self, number: int, value: float) -> None:
        """Remember a NaN of the other process."""
        self.nans[number] = value
        self._nan_numbers[id(value)] = number

    def _encode_container(self, value: Any, tag: str) -> Any:
        if self.by_value:
            return [tag, 0, self.encode_items(value, tag)]
        number = self.shared_number(value)
        if number is not None:
            return ["@", number]
        if tag == "n" and value.base is not None and (view := self._encode_view_of(value)) is not None:
            return view
        number = self.new_number()
        node = [tag, number, None]
        self.share(number, value, tag, node)
        node[2] = self.encode_items(value, tag)
        return node

    def _encode_view_of(self, value: Any) -> Any:
        """JSON part for a view of an array, which crosses as a whole; None if it is none."""
        base = value.base
        while array_tag(base) and self.shared_number(base) is None and base.base is not None:
            base = base.base
        if not array_tag(base) or not base.flags.c_contiguous or base.nbytes > _LARGEST_BASE:
            return None
        offset = value.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        whole = self._encode_container(base, "n")
        return ["nv", whole, value.dtype.str, offset, list(value.shape), list(value.strides)]

    def encode_items(self, value: Any, tag: str) -> Any:  # noqa: PLR0911 - a table
        """JSON part for the content of a container."""
        if tag == "l":
            return self._encode_list(value)
        if tag in "dCO":
            return [[self.encode_key(key), self.encode(item)] for key, item in items_of(value, tag)]
        if tag == "s":
            return [self.encode_key(item) for item in list(set.__iter__(value))]
        if tag == "y":
            return bytes(value).hex()
        if tag == "n":
            return [value.dtype.str, value.tobytes().hex(), list(value.shape)]
        if tag == "q":
            return [value.maxlen, [self.encode(item) for item in type(value).__iter__(value)]]
        factory = self.encode(value.default_factory)
        return [factory, [[self.encode_key(key), self.encode(item)] for key, item in dict.items(value)]]

    def _encode_list(self, value: list[Any]) -> Any:
        kinds = set(map(type, list.__iter__(value)))
        if kinds == {str}:
            joined = "".join(value)
            if joined.isascii() or not _SURROGATES.search(joined):
                return list.copy(value)
        if kinds <= _FLAGS:
            return list.copy(value)
        if kinds == {int} and max(value) < _LARGEST and min(value) > -_LARGEST:
            return list.copy(value)
        if kinds == {float} and not any(map(operator.ne, value, value)):
            return list.copy(value)
        return [self.encode(item) for item in list.copy(value)]

    def _encode_content(self, value: Any, base: type, number: int) -> Any:
        tag = MUTABLE_TAGS.get(base)
        if tag is None:
            return self.encode(content_of(value, base))
        self.export_shared_object(number, value, tag)
        return [tag, 0, self.encode_items(value, tag)]

    def _encode_exception(self, error: BaseException) -> Any:
        try:
            text = str(error)
        except Exception:
            text = ""
        attributes = [[name, self.encode(item)] for name, item in getattr(error, "__dict__", {}).items()]
        slots = [
            [name, self.encode(getattr(error, name, None))]
            for name in descriptions.EXCEPTION_SLOTS
            if type(getattr(type(error), name, None)) in _SLOT_TYPES
        ]
        chain = [error.__cause__, self.context_of(error)]
        return [
            self.encode(error.args),
            text,
            attributes,
            slots,
            *map(self.encode, chain),
            bool(error.__suppress_context__),
        ]

    def encode_module(self, module: types.ModuleType) -> Any:
        """JSON part for a module; only those of the library cross, and only to the candidate."""
        raise NotCarriedError(f"the module {module.__name__}")

    def context_of(self, error: BaseException) -> BaseException | None:
        """``__context__`` of an exception, as the other process may see it."""
        return error.__context__


_SLOT_TYPES = (types.MemberDescriptorType, types.GetSetDescriptorType)


def _numpy_scalar(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in ARRAY_KINDS:
        return ["N", value.dtype.str, value.tobytes().hex()]
    return None


def _encode_view(peer: Encoder, value: Any) -> Any:
    tag = _VIEWS[type(value)]
    if tag == "di":
        return [tag, [[peer.encode_key(key), peer.encode(item)] for key, item in value]]
    if tag == "dk":
        return [tag, [peer.encode_key(item) for item in value]]
    return [tag, [peer.encode(item) for item in value]]


def _encode_zone(_: Encoder, value: datetime.timezone) -> Any:
    return ["tz", value.utcoffset(None).total_seconds(), value.tzname(None)]


def _encode_moment(peer: Encoder, value: Any) -> Any:
    tag = "dt" if type(value) is datetime.datetime else "ti"
    return [tag, value.replace(tzinfo=None).isoformat(), value.fold, peer.encode(value.tzinfo)]


def _encode_zoneinfo(_: Encoder, value: zoneinfo.ZoneInfo) -> Any:
    if value.key is None:
        raise NotCarriedError("a time zone without a name")
    return ["zi", value.key]


_ENCODERS: dict[type, Callable[[Any, Any], Any]] = {
    bytes: lambda _, v: ["b", v.hex()],
    complex: lambda _, v: ["c", v.real, v.imag],
    frozenset: lambda p, v: ["z", [p.encode_key(item) for item in v]],
    range: lambda p, v: ["r", *map(p.encode, (v.start, v.stop, v.step))],
    slice: lambda p, v: ["sl", *map(p.encode, (v.start, v.stop, v.step))],
    decimal.Decimal: lambda _, v: ["e", str(v)],
    fractions.Fraction: lambda p, v: ["f", p.encode(v.numerator), p.encode(v.denominator)],
    datetime.date: lambda _, v: ["da", v.isoformat()],
    datetime.timedelta: lambda _, v: ["td", v.days, v.seconds, v.microseconds],
    datetime.datetime: _encode_moment,
    datetime.time: _encode_moment,
    datetime.timezone: _encode_zone,
    zoneinfo.ZoneInfo: _encode_zoneinfo,
    uuid.UUID: lambda _, v: ["u", v.hex],
    pathlib.PosixPath: lambda _, v: ["P", str(v)],
    pathlib.PurePosixPath: lambda _, v: ["PP", str(v)],
    type(...): lambda _, __: ["..."],
    type(NotImplemented): lambda _, __: ["NI"],
    re.Pattern: lambda p, v: ["R", p.encode(v.pattern), int(v.flags)],
    types.ModuleType: lambda p, v: p.encode_module(v),
    **dict.fromkeys(_VIEWS, _encode_view),
    types.CoroutineType: lambda p, v: ["co", p.exported(v) or p.export(v)],
}

"""Plain values that are no containers, from their JSON parts."""

from __future__ import annotations

import datetime
import decimal
import fractions
import pathlib
import re
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Protocol

from testbudget.executors.execution.languages.python.objects import contents


class PartDecoder(Protocol):
    """Decoder, as far as plain values need it."""

    nans: dict[int, float]

    def decode(self, part: Any) -> Any:
        """Value of a JSON part."""

    def note_array(self, value: Any) -> None:
        """Notice an array that crossed."""

    def remember_nan(self, number: int, value: float) -> None:
        """Remember a NaN of the other process."""


def _decode_nan(peer: PartDecoder, part: Any) -> float:
    number = part[1]
    value = peer.nans.get(number)
    if value is None:
        value = float("nan")
        peer.remember_nan(number, value)
    return value


def _decode_frozenset(peer: PartDecoder, part: Any) -> Any:
    return frozenset([peer.decode(item) for item in part[1]])


def _decode_scalar(_: PartDecoder, part: Any) -> Any:
    import numpy as np

    kind = np.dtype(part[1])
    if kind.kind not in contents.ARRAY_KINDS:
        raise ValueError("no plain numeric type")
    return np.frombuffer(bytes.fromhex(part[2]), kind)[0]


def _decode_array_view(peer: PartDecoder, part: Any) -> Any:
    import numpy as np

    _, whole, dtype, offset, shape, strides = part
    base, kind = peer.decode(whole), np.dtype(dtype)
    if not contents.array_tag(base) or kind.kind not in contents.ARRAY_KINDS or not base.flags.c_contiguous:
        raise ValueError("no view of an array")
    view = np.ndarray(shape, kind, base, offset, strides)
    peer.note_array(view)
    return view


def _decode_zone(_: PartDecoder, part: Any) -> datetime.timezone:
    _, seconds, name = part
    if seconds == 0 and name == "UTC":
        return datetime.UTC
    return datetime.timezone(datetime.timedelta(seconds=seconds), name)


def _decode_moment(kind: Any) -> Callable[[PartDecoder, Any], Any]:
    def decode(peer: PartDecoder, part: Any) -> Any:
        _, text, fold, zone = part
        zone = peer.decode(zone)
        if zone is not None and type(zone) not in {datetime.timezone, zoneinfo.ZoneInfo}:
            raise ValueError("no time zone of the library")
        return kind.fromisoformat(text).replace(fold=fold, tzinfo=zone)

    return decode


def _decode_items_view(peer: PartDecoder, part: Any) -> Any:
    return {peer.decode(key): peer.decode(item) for key, item in part[1]}.items()


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("no text")
    return value


def _zone_name(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", _text(value)):
        raise ValueError("no name of a time zone")
    return _text(value)


def _decode_pattern(peer: PartDecoder, part: Any) -> Any:
    pattern = peer.decode(part[1])
    if type(pattern) not in {str, bytes}:
        raise ValueError("no pattern")
    return re.compile(pattern, part[2])


PLAIN_DECODERS: dict[str, Callable[[Any, Any], Any]] = {
    "t": lambda p, x: tuple([p.decode(item) for item in x[1]]),
    "z": _decode_frozenset,
    "nan": _decode_nan,
    "I": lambda _, x: int(_text(x[1]), 16),
    "b": lambda _, x: bytes.fromhex(x[1]),
    "c": lambda _, x: complex(x[1], x[2]),
    "r": lambda p, x: range(*map(p.decode, x[1:])),
    "sl": lambda p, x: slice(*map(p.decode, x[1:])),
    "e": lambda _, x: decimal.Decimal(_text(x[1])),
    "f": lambda p, x: fractions.Fraction(p.decode(x[1]), p.decode(x[2])),
    "da": lambda _, x: datetime.date.fromisoformat(x[1]),
    "td": lambda _, x: datetime.timedelta(*x[1:]),
    "dt": _decode_moment(datetime.datetime),
    "ti": _decode_moment(datetime.time),
    "tz": _decode_zone,
    "zi": lambda _, x: zoneinfo.ZoneInfo(_zone_name(x[1])),
    "u": lambda _, x: uuid.UUID(_text(x[1])),
    "P": lambda _, x: pathlib.PosixPath(_text(x[1])),
    "PP": lambda _, x: pathlib.PurePosixPath(_text(x[1])),
    "...": lambda _, __: ...,
    "NI": lambda _, __: NotImplemented,
    "R": _decode_pattern,
    "N": _decode_scalar,
    "nv": _decode_array_view,
    "S": lambda _, x: bytes.fromhex(x[1]).decode("utf-32-le", "surrogatepass"),
    "dk": lambda p, x: dict.fromkeys([p.decode(item) for item in x[1]]).keys(),
    "dv": lambda p, x: dict(enumerate([p.decode(item) for item in x[1]])).values(),
    "di": _decode_items_view,
}
"""Decoders by tag."""

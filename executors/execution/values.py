"""Plain data as JSON text: the only values that pass between a candidate process and a judge process.

A value of a JSON type is written as itself. A value of another type is an object with one key, its tag:
``{"tuple": [1, 2]}``. Only exact types are plain. A subclass is not plain, because its methods could return
anything. The receiver therefore gets the value and no code. Floats keep their exact value, and containers
keep their order. Identity is lost, except that of ``math.nan``. Callers therefore refuse a value that holds
the same mutable container twice, which ``mutable_containers`` finds.
"""

import collections
import datetime
import decimal
import fractions
import json
import math
import re
import sys
from collections.abc import Callable
from typing import Any

LONGEST_TEXT = 1 << 20
"""Maximum number of characters of a text that ``encode`` returns."""

UNORDERED_TAGS = frozenset({"set", "frozenset", "dict", "Counter", "defaultdict", "object", "map"})
"""Tags of containers whose items have no order, in Python's notation and in that of JavaScript."""

_SCALARS = frozenset({int, float, bool, str, type(None)})
_IMMUTABLE_CONTAINERS = frozenset({tuple, frozenset})
_CONTAINERS = _IMMUTABLE_CONTAINERS | {
    list,
    dict,
    set,
    bytearray,
    collections.Counter,
    collections.OrderedDict,
    collections.defaultdict,
    collections.deque,
}
_FACTORIES = {kind.__name__: kind for kind in (int, float, bool, str, list, dict, set, tuple)}
_NUMPY_KINDS = "biufcUSmM"
_SURROGATE = re.compile("[\ud800-\udfff]")
# ``json.JSONEncoder.encode`` builds this encoder again for each value, which costs several times as much
# as encoding a short value.
_chunks = vars(json.encoder)["c_make_encoder"](
    None, None, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True
)
_decoded = json.JSONDecoder().decode


class NotPlainError(ValueError):
    """Error for a value that is not plain data, or that has too long a text."""


def _encoded(content: Any) -> str:
    return "".join(_chunks(content, 0))


def encode(value: object) -> str:
    """Write a value as JSON text.

    Raises:
        NotPlainError: the value or a part of it is not plain data, or the text exceeds ``LONGEST_TEXT``.
    """
    try:
        try:
            text = _encoded(_tagged(value))
            if "NaN" in text or "\\ud" in text:  # not a number, or a text with surrogates
                text = _encoded(_tagged(value, _tagged_scalar))
        except ValueError:  # an int with more digits than the interpreter converts
            text = _encoded(_tagged(value, _tagged_scalar))
    except NotPlainError:
        raise
    except Exception as error:  # too deep, circular, or too large for the remaining memory
        raise NotPlainError(type(error).__name__) from None
    if len(text) > LONGEST_TEXT:
        raise NotPlainError(f"{len(text)} characters")
    return text


def mutable_containers(value: Any) -> list[Any]:
    """List the mutable containers in a value, including the value, one entry per occurrence.

    An array of NumPy is one, and so is the array that it is a view of.

    Raises:
        NotPlainError: there are more than ``LONGEST_TEXT``, as in a value that contains itself.
    """
    kind = type(value)
    if kind in _SCALARS:
        return []
    if kind not in _CONTAINERS:
        return _arrays(value)
    if kind is list and _SCALARS.issuperset(map(type, value)):
        return [value]
    found: list[Any] = []
    pending = [value]
    for container in pending:  # grows during the loop
        if type(container) not in _IMMUTABLE_CONTAINERS:
            found.append(container)
        items = [*container, *container.values()] if isinstance(container, dict) else container
        if not _SCALARS.issuperset(map(type, items)):
            for item in items:
                if type(item) in _CONTAINERS:
                    pending.append(item)
                elif type(item) not in _SCALARS:
                    found += _arrays(item)
            if len(pending) > LONGEST_TEXT:
                raise NotPlainError(f"{len(pending)} containers")
    return found


def _arrays(value: Any) -> list[Any]:
    """Array and the arrays that it is a view of; empty for any other value."""
    numpy = sys.modules.get("numpy")
    found: list[Any] = []
    while numpy is not None and type(value) is numpy.ndarray:
        found.append(value)
        value = value.base
    return found


def decode(text: str) -> Any:
    """Read a value from its text. No part is shared with an earlier value.

    Raises:
        ValueError: the text cannot come from ``encode``.
    """
    content = _decoded(text)
    return restore(content) if "{" in text else content  # no tags


def restore(content: Any) -> Any:
    """Build the value from parsed JSON.

    Raises:
        ValueError: the JSON cannot come from ``encode``.
    """
    if type(content) is list:
        if _SCALARS.issuperset(map(type, content)):
            return content
        return [restore(item) for item in content]
    if type(content) is not dict:
        return content
    try:
        ((tag, inner),) = content.items()
        return _RESTORE[tag](inner)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"no plain value has this text: {error}") from None


def _tagged(value: Any, on_scalar: Callable[[Any], Any] | None = None) -> Any:  # noqa: PLR0911 - a table
    kind = type(value)
    if kind in _SCALARS:
        return on_scalar(value) if on_scalar else value
    if kind is list:
        if on_scalar is None and _SCALARS.issuperset(map(type, value)):
            return value
        return [_tagged(item, on_scalar) for item in value]
    if kind in {tuple, set, frozenset}:
        return {kind.__name__: _tagged(list(value), on_scalar)}
    if kind is dict:
        return {
            "dict": [[_tagged(key, on_scalar), _tagged(item, on_scalar)] for key, item in value.items()]
        }
    if kind in _TAG:
        return {kind.__name__: _tagged(_TAG[kind](value), on_scalar)}
    return _tagged_numpy(value)


def _tagged_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")  # a NumPy value exists only where NumPy is imported
    kind = type(value)
    if numpy is None or kind.__module__ != "numpy" or not hasattr(value, "dtype"):
        raise NotPlainError(kind.__name__)
    content = [value.dtype.str, value.tobytes().hex()]
    if value.dtype.kind in _NUMPY_KINDS and kind is numpy.ndarray:
        return {"ndarray": [*content, list(value.shape)]}
    if value.dtype.kind in _NUMPY_KINDS and issubclass(kind, numpy.generic):
        return {"numpy": content}
    raise NotPlainError(kind.__name__)


def _tagged_scalar(value: Any) -> Any:
    """JSON of a scalar that JSON would change: texts with surrogates, ``math.nan``, very long ints."""
    if value is math.nan:  # noqa: PLW0177 - containers find NaN by identity alone
        return {"math": "nan"}
    if type(value) is str and _SURROGATE.search(value):
        return {"text": value.encode("utf-32-le", "surrogatepass").hex()}
    return {"int": hex(value)} if type(value) is int and value.bit_length() > 4096 else value


def _factory_name(value: "collections.defaultdict[Any, Any]") -> str | None:
    for name, factory in _FACTORIES.items():
        if factory is value.default_factory:
            return name
    if value.default_factory is None:
        return None
    raise NotPlainError("defaultdict")


def _iso_text(value: Any) -> str:
    zone = value.tzinfo
    if zone is not None:
        # The text holds the offset alone: a time zone of another class, or with a name, would be lost.
        if type(zone) is not datetime.timezone:
            raise NotPlainError("a time zone")
        if zone.tzname(None) != datetime.timezone(zone.utcoffset(None)).tzname(None):
            raise NotPlainError("a time zone with a name")
    return str(value.isoformat())


_TAG: dict[type, Callable[[Any], Any]] = {
    bytes: bytes.hex,
    bytearray: bytearray.hex,
    complex: lambda value: [value.real, value.imag],
    range: lambda value: [value.start, value.stop, value.step],
    collections.Counter: dict,
    collections.OrderedDict: dict,
    collections.defaultdict: lambda value: [_factory_name(value), dict(value)],
    collections.deque: lambda value: [value.maxlen, list(value)],
    decimal.Decimal: str,
    fractions.Fraction: lambda value: [value.numerator, value.denominator],
    datetime.datetime: lambda value: [_iso_text(value), value.fold],
    datetime.date: datetime.date.isoformat,
    datetime.time: lambda value: [_iso_text(value), value.fold],
    datetime.timedelta: lambda value: [value.days, value.seconds, value.microseconds],
}


def _numpy_array(inner: Any) -> Any:
    dtype, content, shape = inner
    numpy = __import__("numpy")
    return numpy.frombuffer(bytes.fromhex(content), _numpy_dtype(dtype)).reshape(shape).copy()


def _numpy_scalar(inner: Any) -> Any:
    dtype, content = inner
    numpy = __import__("numpy")
    return numpy.frombuffer(bytes.fromhex(content), _numpy_dtype(dtype))[0]


def _numpy_dtype(name: str) -> Any:
    dtype = __import__("numpy").dtype(name)
    if dtype.kind not in _NUMPY_KINDS:
        raise ValueError(f"{name} is not a plain numeric type")
    return dtype


_RESTORE: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda inner: tuple(restore(inner)),
    "set": lambda inner: set(restore(inner)),
    "frozenset": lambda inner: frozenset(restore(inner)),
    "dict": lambda inner: {restore(key): restore(item) for key, item in inner},
    "int": lambda inner: int(inner, 16),
    "text": lambda inner: bytes.fromhex(inner).decode("utf-32-le", "surrogatepass"),
    "math": lambda inner: {"nan": math.nan}[inner],
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "complex": lambda inner: complex(*inner),
    "range": lambda inner: range(*inner),
    "Counter": lambda inner: collections.Counter(restore(inner)),
    "OrderedDict": lambda inner: collections.OrderedDict(restore(inner)),
    "defaultdict": lambda inner: collections.defaultdict(
        None if inner[0] is None else _FACTORIES[inner[0]], restore(inner[1])
    ),
    "deque": lambda inner: collections.deque(restore(inner[1]), inner[0]),
    "Decimal": decimal.Decimal,
    "Fraction": lambda inner: fractions.Fraction(*inner),
    "datetime": lambda inner: datetime.datetime.fromisoformat(inner[0]).replace(fold=inner[1]),
    "date": datetime.date.fromisoformat,
    "time": lambda inner: datetime.time.fromisoformat(inner[0]).replace(fold=inner[1]),
    "timedelta": lambda inner: datetime.timedelta(*inner),
    "ndarray": _numpy_array,
    "numpy": _numpy_scalar,
}

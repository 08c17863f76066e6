"""Plain data as JSON text: what may pass between the process of a candidate and the process of a test.

JSON's own types stand for themselves. Every other type has a tag: an object with the tag as its only key,
``{"tuple": [1, 2]}``. Only exact types are plain, never subclasses, whose methods could answer as they
like; so the receiver gets what the value *is*, and no code comes with it. Floats keep their exact value,
containers their order. Identity is not kept, but for that of ``math.nan``; so a value in which something
changeable is contained twice is not plain.
"""

import collections
import datetime
import decimal
import fractions
import json
import math
import sys
from collections.abc import Callable
from typing import Any

LONGEST_TEXT = 1 << 20
"""A value whose text is longer is not passed on."""

_SCALARS = frozenset({int, float, bool, str, type(None)})
_UNCHANGEABLE_CONTAINERS = frozenset({tuple, frozenset})
_CONTAINERS = _UNCHANGEABLE_CONTAINERS | {
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
_NUMPY_KINDS = "biufc"
# What ``json.JSONEncoder.encode`` makes anew for every value, at several times the cost of a short one.
_chunks = vars(json.encoder)["c_make_encoder"](
    None, None, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True
)
_decoded = json.JSONDecoder().decode


class NotPlainError(ValueError):
    """The value is not plain data, or too large to be passed on."""


def _encoded(content: Any) -> str:
    return "".join(_chunks(content, 0))


def encode(value: object) -> str:
    """The text of a value.

    Raises:
        NotPlainError: the value, or something in it, is not plain data, or it is too large.
    """
    try:
        try:
            text = _encoded(_tagged(value))
            if "NaN" in text:
                text = _encoded(_tagged(value, _tag_number))
        except ValueError:  # an int with more digits than the interpreter converts
            text = _encoded(_tagged(value, _tag_number))
    except NotPlainError:
        raise
    except Exception as error:  # too deep or circular, or too large for the memory that is left
        raise NotPlainError(type(error).__name__) from None
    if len(text) > LONGEST_TEXT:
        raise NotPlainError(f"{len(text)} characters")
    return text


def mutable_containers(value: Any) -> list[Any]:
    """The containers in a value that can be changed, itself among them, each as often as it is contained.

    Raises:
        NotPlainError: they are too many, as in a circle.
    """
    kind = type(value)
    if kind in _SCALARS or kind not in _CONTAINERS:
        return []
    if kind is list and _SCALARS.issuperset(map(type, value)):
        return [value]
    found: list[Any] = []
    left = [value]
    for container in left:  # which grows meanwhile
        if type(container) not in _UNCHANGEABLE_CONTAINERS:
            found.append(container)
        items = [*container, *container.values()] if isinstance(container, dict) else container
        if not _SCALARS.issuperset(map(type, items)):
            left += [item for item in items if type(item) in _CONTAINERS]
            if len(left) > LONGEST_TEXT:
                raise NotPlainError(f"{len(left)} containers")
    return found


def decode(text: str) -> Any:
    """A new value from its text.

    Raises:
        ValueError: the text is not what :func:`encode` makes.
    """
    content = _decoded(text)
    return restore(content) if "{" in text else content  # which has no tags


def restore(content: Any) -> Any:
    """The value that parsed JSON stands for; raises ValueError as :func:`decode` does."""
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


def _tagged(value: Any, on_number: Callable[[Any], Any] | None = None) -> Any:  # noqa: PLR0911 - a table
    kind = type(value)
    if kind in _SCALARS:
        return on_number(value) if on_number and kind in {int, float} else value
    if kind is list:
        if on_number is None and _SCALARS.issuperset(map(type, value)):
            return value
        return [_tagged(item, on_number) for item in value]
    if kind in {tuple, set, frozenset}:
        return {kind.__name__: _tagged(list(value), on_number)}
    if kind is dict:
        return {
            "dict": [[_tagged(key, on_number), _tagged(item, on_number)] for key, item in value.items()]
        }
    if kind in _TAG:
        return {kind.__name__: _tagged(_TAG[kind](value), on_number)}
    return _tagged_numbers(value)


def _tagged_numbers(value: Any) -> Any:
    numpy = sys.modules.get("numpy")  # a numpy value exists only where it is imported
    kind = type(value)
    if numpy is None or kind.__module__ != "numpy" or not hasattr(value, "dtype"):
        raise NotPlainError(kind.__name__)
    content = [value.dtype.str, value.tobytes().hex()]
    if value.dtype.kind in _NUMPY_KINDS and kind is numpy.ndarray:
        return {"ndarray": [*content, list(value.shape)]}
    if value.dtype.kind in _NUMPY_KINDS and issubclass(kind, numpy.generic):
        return {"numpy": content}
    raise NotPlainError(kind.__name__)


def _tag_number(value: Any) -> Any:
    if value is math.nan:  # noqa: PLW0177 - which a container finds again by its identity alone
        return {"math": "nan"}
    return {"int": hex(value)} if type(value) is int and value.bit_length() > 4096 else value


def _factory_name(value: "collections.defaultdict[Any, Any]") -> str | None:
    for name, factory in _FACTORIES.items():
        if factory is value.default_factory:
            return name
    if value.default_factory is None:
        return None
    raise NotPlainError("defaultdict")


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
    datetime.datetime: lambda value: [value.isoformat(), value.fold],
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
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
        raise ValueError(f"{name} is not a plain type of numbers")
    return dtype


_RESTORE: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda inner: tuple(restore(inner)),
    "set": lambda inner: set(restore(inner)),
    "frozenset": lambda inner: frozenset(restore(inner)),
    "dict": lambda inner: {restore(key): restore(item) for key, item in inner},
    "int": lambda inner: int(inner, 16),
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
    "time": datetime.time.fromisoformat,
    "timedelta": lambda inner: datetime.timedelta(*inner),
    "ndarray": _numpy_array,
    "numpy": _numpy_scalar,
}

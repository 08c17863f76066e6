"""Events as JSON text, and back: one JSON object of the columns of the event, by name.

The name of an event's class is its operation code. NaN is null, so that SQLite's JSON functions read it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np

from testbudget.executors.metering import Usage
from testbudget.scheduler.core.events import Bools, Cap, Event, Floats, Ints, WorkerKind

EVENTS: Mapping[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
"""Kinds of events by operation code."""


def encode_event(event: Event) -> str:
    """The columns of an event as a JSON object."""
    columns = _COLUMNS[type(event).__name__].items()
    return json.dumps({name: column.to_json(getattr(event, name)) for name, column in columns})


def decode_event(kind: str, numbers: str) -> Event:
    """The event of a JSON object.

    Args:
        kind: operation code, one of ``EVENTS``.
        numbers: text of :func:`encode_event`.

    Raises:
        ValueError: the text is no JSON, or a column holds something else than numbers of its type.
        KeyError: the kind or a column is unknown.
        TypeError: a column is missing.
    """
    columns = _COLUMNS[kind]
    found = json.loads(numbers)
    return EVENTS[kind](**{name: columns[name].from_json(value) for name, value in found.items()})


class _Column(NamedTuple):
    to_json: Callable[[Any], Any]
    from_json: Callable[[Any], Any]


def _array(dtype: type[np.generic]) -> _Column:
    return _Column(lambda value: np.asarray(value, dtype).tolist(), lambda value: np.array(value, dtype))


def _floats_to_json(values: Floats) -> list[float | None]:
    found = np.asarray(values, np.float64).tolist()
    return [None if value != value else value for value in found]  # noqa: PLR0124 (NaN)


def _usage_to_json(usage: Usage) -> dict[str, float | None]:
    return dict(zip(Usage._fields, _floats_to_json(np.array(usage)), strict=True))


def _usage_from_json(found: Mapping[str, float | None]) -> Usage:
    return Usage(**{name: float("nan") if value is None else value for name, value in found.items()})


def _cap_to_json(cap: Cap) -> dict[str, dict[str, float]]:
    return {"limits": dict(cap.limits), "prices": dict(cap.prices)}


_BY_TYPE: Mapping[Any, _Column] = {
    Ints: _array(np.int64),
    Floats: _Column(_floats_to_json, lambda value: np.array(value, np.float64)),
    Bools: _array(np.bool_),
    int: _Column(int, int),
    float: _Column(float, float),
    bool: _Column(bool, bool),
    tuple[int, ...]: _Column(lambda value: [int(number) for number in value], tuple),
    Cap: _Column(_cap_to_json, lambda value: Cap(**value)),
    Usage: _Column(_usage_to_json, _usage_from_json),
    WorkerKind: _Column(lambda value: WorkerKind(value).name, lambda name: WorkerKind[name]),
}

_COLUMNS: Mapping[str, Mapping[str, _Column]] = {
    name: {field.name: _BY_TYPE[get_type_hints(kind)[field.name]] for field in fields(kind)}
    for name, kind in EVENTS.items()
}

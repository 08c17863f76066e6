"""Entry points of Python programs: functions, classes and methods such as ``Solution().solve``."""

import re
from collections.abc import Mapping
from typing import Any

_CALL = "()"


def first_name(entry_point: str | None) -> str | None:
    """Name that a candidate must bind at its top level; None if it is unknown.

    Args:
        entry_point: name of a function or class, or a method of a class; None if unknown.
    """
    return None if entry_point is None else _parts(entry_point)[0]


def is_defined(entry_point: str, names: Mapping[str, Any]) -> bool:
    """Return whether a namespace has an entry point; of a method, its class must have it.

    Args:
        entry_point: name of a function or class, or a method of a class.
        names: namespace of the candidate.
    """
    first, *rest = (part for part in _parts(entry_point) if part != _CALL)
    return first in names and (not rest or hasattr(names[first], rest[0]))


def find_entry(entry_point: str, names: Mapping[str, Any]) -> Any:
    """Find what an entry point stands for.

    Args:
        entry_point: name of a function or class, or a method of a class.
        names: namespace that has its first name.
    """
    first, *rest = _parts(entry_point)
    found = names[first]
    for part in rest:
        found = found() if part == _CALL else getattr(found, part)
    return found


def _parts(entry_point: str) -> list[str]:
    """Names and calls of an entry point, in order."""
    return re.findall(r"\w+|\(\)", entry_point) or [entry_point]

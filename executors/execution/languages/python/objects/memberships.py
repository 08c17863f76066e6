"""Answers to ``in`` that follow from plain data behind an object.

An own ``in`` that says yes is believed if the object held the item before it was asked, and if it holds
nothing of the kind that the test has not given: an object that holds everything holds any item.
"""

from __future__ import annotations

from collections.abc import Container, Set
from typing import Any, Protocol

from testbudget.executors.execution.languages.python.objects import mirrors, operators, tables

_MAX_OBJECTS = 40
_MARKS = 1  # keys of a table that are no letters, such as the mark of an end


class StateReader(Protocol):
    """Peer of a judge, as far as memberships need it."""

    def state_of(self, target: Any) -> Any:
        """Attributes of an object by name; objects of the candidate in them are proxies."""


def holds(reader: StateReader, state: Any, item: Any, given: Container[Any]) -> bool:
    """Return whether a container of an object, or the objects below it, hold an item and nothing else.

    Args:
        reader: reads the states of objects below.
        state: attributes of the object by name, told before it was asked.
        item: plain item.
        given: scalars that the test has handed over.
    """
    if type(state) is not dict:
        return False
    if any(_holds(value, item, given) for value in state.values()):
        return True
    if type(item) is str and item in given and _spells(reader, state, item, given):
        return True
    members, objects = _members_below(reader, state)
    counts = range(objects + 1)  # heights, sizes and the like
    held = item in members and item in given
    return held and all(member in given or member in counts for member in members)


def _spells(reader: StateReader, state: dict[str, Any], text: str, given: Container[Any]) -> bool:
    """Return whether the letters of a text lead from one table to the next, as in a prefix tree."""
    if not 0 < len(text) <= _MAX_OBJECTS:
        return False
    seen: dict[int, Any] = {}
    below = [one for one in state.values() if type(one) in operators.DICTS]
    if not below and len(roots := _proxies(state)) == 1:
        below = _tables(reader, roots[0], seen)
    for letter in text:
        table = next((one for one in below if letter in one), None)
        if table is None or sum(key not in given for key in table) > _MARKS:
            return False
        below = _tables(reader, table[letter], seen)
    return True


def _tables(reader: StateReader, value: Any, seen: dict[int, Any]) -> list[dict[Any, Any]]:
    """Tables that a value is or holds; none if it was met before, since it then spells any text."""
    if id(value) in seen or len(seen) > _MAX_OBJECTS:
        return []
    seen[id(value)] = value
    if type(value) in operators.DICTS:
        return [value]
    is_object = isinstance(type(value), mirrors.MirrorMeta) and tables.plain_base(type(value)) is None
    state = reader.state_of(value) if is_object else {}
    return [one for one in state.values() if type(one) in operators.DICTS] if type(state) is dict else []


def is_given(value: Any, given: Set[Any]) -> bool:
    """Return whether a value consists of what the test has handed over."""
    return operators.is_plain(value) and operators.scalars(value) - {None} <= given


def _holds(value: Any, item: Any, given: Container[Any]) -> bool:
    if type(value) not in operators.DICTS | operators.SEQUENCES or not operators.is_plain(value):
        return False
    scalars = all(type(member) in tables.SCALARS and member in given for member in value)
    return scalars and item in value


def _members_below(reader: StateReader, state: dict[str, Any]) -> tuple[set[Any], int]:
    """Scalars in the objects below one, such as the nodes of a tree, and the number of these objects."""
    members: set[Any] = set()
    seen: set[int] = set()
    pending = [state]
    while pending:
        for proxy in _proxies(pending.pop()):
            if id(proxy) in seen:
                continue
            seen.add(id(proxy))
            below = reader.state_of(proxy) if len(seen) <= _MAX_OBJECTS else None
            if type(below) is not dict:
                return set(), 0
            pending.append(below)
            members.update(operators.scalars(below) - {None, *map(str, below)})
    return members, len(seen)


def _proxies(state: dict[str, Any]) -> list[Any]:
    """Objects of the candidate in the attributes of one, also in their containers."""
    found, pending = [], list(state.values())
    while pending:
        one = pending.pop()
        kind = type(one)
        if kind in operators.DICTS:
            pending += [*one.keys(), *one.values()]
        elif kind in operators.SEQUENCES:
            pending += one
        elif isinstance(kind, mirrors.MirrorMeta) and tables.plain_base(kind) is None:
            found.append(one)
    return found

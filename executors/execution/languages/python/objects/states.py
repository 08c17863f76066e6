"""State of an object as text: two objects are equal if their texts are.

A state is a plain tree: the class by its qualified name, the content of a subclass of plain data,
attributes and slots. It is read past every operator and property of the object's class. Plain data is
written in a form in which equal values have equal texts: ``1``, ``1.0`` and ``True`` are one number, sets
and dicts have no order. A mutable container or an object that occurs twice is written once and referred to
by its position, so aliases and cycles are part of the state.

The text is the word of the candidate's process, since its code may change anything there. It says something
because that process has repeated only the requests that this one object was made from, and nothing that it
could be compared with.
"""

import hashlib
import json
import sys
from typing import Any

from testbudget.executors.execution.languages.python.objects import mirrors
from testbudget.executors.execution.languages.python.objects.states_content import (
    CONTENTS,
    UnknownStateError,
    attributes,
    content_base,
    scalar,
)
from testbudget.executors.execution.languages.python.objects.states_functions import (
    class_name,
    class_parts,
    object_parts,
)

_MAX_NODES = 100_000
_MAX_NESTED_SETS = 20
_MAX_TEXT = 1 << 16
_MAPPINGS = frozenset({"dict"})
_UNORDERED = frozenset({"set"})

_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def state_text(value: Any) -> str | None:
    """State of a value as text; above 64 KiB its digest.

    Returns:
        None if a part of the state cannot be read, such as a generator, an open file or an object that
        belongs to the test.
    """
    try:
        text = _Walk([_MAX_NODES], 0).text(value)
    except Exception:  # of the candidate's code, which a library class may still call, or too large
        return None
    if len(text) > _MAX_TEXT:
        return "#" + hashlib.sha256(text.encode()).hexdigest()
    return text


class _Walk:
    """Walk over the parts of one value, breadth first.

    Args:
        budget: number of nodes left, shared by all walks for one state.
        depth: number of sets and dicts around this walk.
    """

    def __init__(self, budget: list[int], depth: int) -> None:
        if depth > _MAX_NESTED_SETS:
            raise UnknownStateError("sets in sets")
        self._budget = budget
        self._depth = depth
        self._pending: list[Any] = []
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # what has a place stays alive, so that its id is its own

    def text(self, value: Any) -> str:
        """Text of a value; a part that was met before is a number."""
        nodes = [self._part(value)]
        nodes.extend(map(self._node, self._pending))  # which grows meanwhile
        return _dumps(nodes)

    def _part(self, value: Any) -> Any:
        found = scalar(value)
        if found is not None:
            return found
        if isinstance(type(value), mirrors.MirrorMeta) or type(value) is mirrors.MirrorMeta:
            raise UnknownStateError("an object of the test")
        if issubclass(type(value), type):
            name = class_name(value)
            if name is not None:
                return ["class", name]
        key = id(value)
        place = self._places.get(key)
        if place is None:
            self._budget[0] -= 1
            if self._budget[0] < 0:
                raise UnknownStateError("too large")
            self._pending.append(value)
            place = len(self._pending)
            if type(value) is tuple or type(value) is frozenset:
                return place  # has no identity that matters
            self._places[key] = place
            self._kept.append(value)
        return place

    def _node(self, value: Any) -> list[Any]:
        kind = type(value)
        base = content_base(kind)
        if base is kind:
            return self._content(base, value)
        if base is None:
            if issubclass(kind, type):
                return self._parts(class_parts(value))
            described = _stream(value) or object_parts(value)
            if described is not None:
                return self._parts(described)
        content = None if base is None else self._content(base, value)
        names = attributes(value, kind, base)
        return [
            "object",
            self._part(kind),
            content,
            [[name, self._part(names[name])] for name in sorted(names)],
        ]

    def _content(self, base: type, value: Any) -> list[Any]:
        tag, content = CONTENTS[base](value)
        if tag in _MAPPINGS:
            pairs = sorted((self._own_text(key), place) for place, (key, _) in enumerate(content))
            ordered = [content[place] for _, place in pairs]
            return [tag, *([self._part(key), self._part(item)] for key, item in ordered)]
        if tag in _UNORDERED:
            texts = sorted((self._own_text(item), place) for place, item in enumerate(content))
            content = [content[place] for _, place in texts]
        return [tag, *map(self._part, content)]

    def _parts(self, described: tuple[Any, ...]) -> list[Any]:
        tag, names, *values = described
        return [tag, names, *map(self._part, values)]

    def _own_text(self, value: Any) -> str:
        found = scalar(value)
        if found is not None:
            return _dumps(found)
        return _Walk(self._budget, self._depth + 1).text(value)


def _stream(value: Any) -> tuple[Any, ...] | None:
    """Part for a standard stream; None for anything else."""
    for name in ("stdin", "stdout", "stderr"):
        if value is getattr(sys, name) or value is getattr(sys, f"__{name}__"):
            return "stream", name
    return None

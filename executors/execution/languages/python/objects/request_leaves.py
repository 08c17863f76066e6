"""Plain data in the JSON parts of requests, and other values in place of it."""

from __future__ import annotations

import itertools
import random
import string
from collections.abc import Iterator
from typing import Any

_ITEMS = {"l": 2, "s": 2, "t": 1, "z": 1}
_PAIRS = frozenset({"d", "C", "O"})
_TEXTS = frozenset({"b", "da", "e", "td", "dt", "f"})
_KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


def leaf_paths(part: Any) -> Iterator[list[int]]:
    """Paths to plain scalars in the JSON part of a value."""
    if type(part) in {int, float, str, bool}:
        yield []
    elif type(part) is not list:
        return
    elif part[0] in _ITEMS:
        start = _ITEMS[part[0]]
        for place, item in enumerate(part[start]):
            for path in leaf_paths(item):
                yield [start, place, *path]
    elif part[0] in _PAIRS:
        for place, pair in enumerate(part[2]):
            for side in (1, 0):
                for path in leaf_paths(pair[side]):
                    yield [2, place, side, *path]
    elif part[0] in _TEXTS:
        yield [1]


def value_at(part: Any, path: list[int]) -> Any:
    """Value at the end of a path."""
    for place in path:
        part = part[place]
    return part


def put_value(part: Any, path: list[int], value: Any) -> None:
    """Put another value at the end of a path."""
    for place in path[:-1]:
        part = part[place]
    part[path[-1]] = value


def _like(letter: str) -> str:
    """Characters of the same kind as one; empty for a sign."""
    return next((kind for kind in _KINDS if letter in kind), "")


def _exchanged(text: str) -> str | None:
    """Text with two neighbours of one kind exchanged, or two of any kind; None if all are the same."""
    pairs = [place for place, (one, other) in enumerate(itertools.pairwise(text)) if one != other]
    if not pairs:
        return None
    alike = [place for place in pairs if text[place + 1] in _like(text[place])]
    place = (alike or pairs)[0]
    return f"{text[:place]}{text[place + 1]}{text[place]}{text[place + 2 :]}"


def other_values(value: Any, values: list[Any], chance: random.Random) -> Iterator[Any]:
    """Values in place of one: its neighbour, and others as they occur."""
    if type(value) is bool:
        yield not value
    elif type(value) in {int, float}:
        yield value + 1
        far = [value + 10, value + chance.randrange(3, 500, 2)]
        far += [one for one in values if type(one) is type(value) and abs(one - value) > 1]
        yield chance.choice(far)
    elif not value:
        yield "x"
    else:
        places = [place for place, letter in enumerate(value) if _like(letter)] or [0]
        place = chance.choice(places)
        others = _like(value[place]).replace(value[place], "") or "x"
        yield f"{value[:place]}{chance.choice(others)}{value[place + 1 :]}"
        if (exchanged := _exchanged(value)) is not None:
            yield exchanged


def defined(part: Any) -> list[int]:
    """Numbers of the objects and classes in the JSON part of an answer."""
    return [*numbers_after(part, "o"), *numbers_after(part, "K")]


def numbers_after(part: Any, tag: str) -> Iterator[int]:
    """Numbers after a tag, at any depth."""
    pending = [part]
    while pending:
        one = pending.pop()
        if type(one) is list:
            if len(one) > 1 and one[0] == tag and type(one[1]) is int:
                yield one[1]
            pending += one


def path_to(part: Any, number: int) -> list[int]:
    """Path to the first object of a number in a JSON part; empty if there is none."""
    pending: list[tuple[Any, list[int]]] = [(part, [])]
    for one, path in pending:  # grows during the loop
        if type(one) is list:
            if one[:2] == ["o", number]:
                return path
            pending += [(item, [*path, place]) for place, item in enumerate(one)]
    return []

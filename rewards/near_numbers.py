"""Numbers within a tolerance of each other: numbers in texts, and groups of values that hold near numbers.

Nearness within a tolerance is not transitive, so groups are made by single linkage: the values at one place
are sorted, and a new group begins where two neighbours differ by more than the tolerance. The groups do not
depend on the order of the values. A chain of values that are close to each other is one group, however far
its ends are apart.
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from testbudget.rewards.comparison import Comparison

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NOT_FINITE = re.compile(r"([+-]?)(nan|inf(?:inity)?)", re.IGNORECASE)
_LONGEST = 300  # characters of a token that is read as a number
_INFINITY = float("inf")

Part = str | int | float
"""Part of a value: a finite number, or a text that must be equal."""


def parse_part(token: str) -> Part:
    """Finite number in a token; ``nan``, ``inf`` or ``-inf`` in one form; any other token as it is."""
    if len(token) > _LONGEST:
        return token
    if _NUMBER.fullmatch(token):
        if _INTEGER.fullmatch(token):
            return int(token)
        number = float(token)
        return token if abs(number) == _INFINITY else number
    if found := _NOT_FINITE.fullmatch(token):
        sign, name = found.groups()
        return "nan" if name.lower() == "nan" else f"{sign.replace('+', '')}inf"
    return token


def parts_agree(comparison: Comparison, expected: Iterable[Part], given: Iterable[Part]) -> bool:
    """Return whether two sequences of parts have equal texts, and numbers that differ by the tolerance."""
    second = iter(given)
    for part in expected:
        other = next(second, None)
        if other is None or isinstance(part, str) or isinstance(other, str):
            if part != other:
                return False
        elif not comparison.numbers_agree(part, other):
            return False
    return next(second, None) is None


def linked_groups(comparison: Comparison, values: Sequence[Sequence[Part]]) -> list[tuple[Hashable, ...]]:
    """Key of the group of each value. Values in one group have equal texts, and near numbers at each place.

    Args:
        comparison: holds the tolerances.
        values: the parts of each value.
    """
    alike: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position, parts in enumerate(values):
        alike[tuple(part if isinstance(part, str) else None for part in parts)].append(position)
    keys: list[tuple[Hashable, ...]] = [()] * len(values)
    for form, positions in alike.items():
        numbers = [[part for part in values[at] if not isinstance(part, str)] for at in positions]
        links = [_links(comparison, column) for column in zip(*numbers, strict=True)]
        for at, own in zip(positions, numbers, strict=True):
            keys[at] = (form, *(link[number] for link, number in zip(links, own, strict=True)))
    return keys


def _links(comparison: Comparison, values: Iterable[float]) -> dict[float, int]:
    """Number of the group of each value at one place."""
    links: dict[float, int] = {}
    last, group = None, 0
    for value in sorted(set(values)):
        if last is not None and not (
            comparison.numbers_agree(last, value) or comparison.numbers_agree(value, last)
        ):
            group += 1
        links[value] = group
        last = value
    return links

"""Properties of a candidate's results that may keep a pass from being confirmed."""

import collections
import decimal
import sys
from collections.abc import Container, Iterable, Iterator
from enum import Enum
from typing import Any

_REDUCTIONS = "all any sum norm mean max min prod approx".split()  # also as methods of arrays
_SHORT_BITS, _DOUBLE_BITS = 32, 64
_FRACTIONAL = frozenset({float, complex, decimal.Decimal})
_SEQUENCES = (list, tuple, set, frozenset, range, collections.deque)


class Caveat(Enum):
    """Property of a result of the candidate that may keep a pass from being confirmed.

    Attributes:
        ENDS_ITERATION: an exception that a loop or a default of the caller swallows.
        EMPTY_ARRAY: an empty array of NumPy, which equals any other one element by element.
        EMPTY_CONTAINER: an empty container, which NumPy takes for such an array.
        EMPTY_OPERAND: an empty array that NumPy has compared with another one, or reduced to a number.
        NOT_A_NUMBER: a not-a-number, which is neither greater nor less than anything.
        INFINITE: an infinite number that the test has measured, whose error is within any share of itself.
        FEW_DIGITS: a number of 16 bits. What it is compared with is rounded to such a number first, so that
            an infinite one equals all large numbers, and 0 all small ones.
    """

    ENDS_ITERATION = "The candidate raised an exception that a loop or a default has swallowed."
    EMPTY_ARRAY = "The candidate returned an empty array, all elements of which equal anything."
    EMPTY_CONTAINER = "The candidate returned an empty container, which NumPy takes for an empty array."
    EMPTY_OPERAND = "The test has compared an empty array, all elements of which equal anything."
    NOT_A_NUMBER = "The candidate returned a not-a-number, and the test may ask only what it is not."
    INFINITE = "The test has measured an infinite number, which agrees with others up to rounding."
    FEW_DIGITS = "The candidate returned a number of 16 bits, to which others are rounded in comparisons."

    def concerns(self, names: Container[str]) -> bool:  # noqa: PLR0911 - a table
        """Return whether the caveat concerns a test that uses these names."""
        if self is Caveat.ENDS_ITERATION:
            return not any(
                name in names for name in ("StopIteration", "StopAsyncIteration", "GeneratorExit")
            )
        if self is Caveat.EMPTY_OPERAND:
            return True
        if self is Caveat.NOT_A_NUMBER:
            return "nan" not in names and "isnan" not in names
        if self is Caveat.INFINITE:
            return not any(name in names for name in ("inf", "isinf", "isfinite"))
        if self is Caveat.FEW_DIGITS:
            return "float16" not in names and "half" not in names
        if self is Caveat.EMPTY_CONTAINER and "numpy" not in names:
            return False
        return any(map(names.__contains__, _REDUCTIONS))


def is_empty_array(value: Any) -> bool:
    """Return whether a value is an array of NumPy without elements."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(type(value), numpy.ndarray) and not value.size


def caveats_of(value: Any, *, infinite: bool = False) -> Iterator[Caveat]:
    """Caveats of a result and of all its parts.

    Args:
        value: the result; objects that are no plain data are passed over.
        infinite: True to look for infinite numbers, too.
    """
    pending, seen = [value], set()
    while pending:
        one = pending.pop()
        kind = type(one)
        if kind in {int, str, bool, bytes, type(None)}:
            continue
        if kind in _FRACTIONAL:
            if one != one:  # noqa: PLR0124 - NaN
                yield Caveat.NOT_A_NUMBER
            elif infinite and one and one == one + one:
                yield Caveat.INFINITE
        elif issubclass(kind, (*_SEQUENCES, dict)):
            if id(one) in seen:
                continue
            seen.add(id(one))
            parts = _parts(one)
            if not parts:
                yield Caveat.EMPTY_CONTAINER
            pending += parts
        elif kind.__module__ == "numpy":
            yield from _of_numbers(one, infinite=infinite)


def caveats_of_numbers(members: Iterable[Any]) -> Iterator[Caveat]:
    """Caveats of the numbers among the members of a container."""
    for one in members:
        if type(one) in _FRACTIONAL or type(one).__module__ == "numpy":
            yield from caveats_of(one)


def _parts(container: Any) -> list[Any]:
    """Members of a container, past its operators; of a range, one."""
    if isinstance(container, range):
        return [0] if len(container) else []
    if isinstance(container, dict):
        return [*dict.keys(container), *dict.values(container)]
    base: Any = next(kind for kind in _SEQUENCES if isinstance(container, kind))
    return list(base.__iter__(container))


def _of_numbers(value: Any, *, infinite: bool) -> Iterator[Caveat]:
    """Caveats of an array or a scalar of NumPy."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not issubclass(type(value), numpy.ndarray | numpy.generic):
        return  # a class that only bears the name
    if is_empty_array(value):
        yield Caveat.EMPTY_ARRAY
    if value.dtype.kind in "fcmM" and numpy.isnan(value).any():
        yield Caveat.NOT_A_NUMBER
    if value.dtype.kind not in "fc":
        return
    bits = 8 * value.real.dtype.itemsize
    if bits < _SHORT_BITS:
        yield Caveat.FEW_DIGITS
    if (infinite or bits < _DOUBLE_BITS) and numpy.isinf(value).any():
        yield Caveat.INFINITE  # large numbers are rounded to it in comparisons with fewer bits

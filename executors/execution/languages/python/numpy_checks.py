"""Checks of what a test compares with NumPy, by which an array without elements agrees with any other."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

_COMPARING = ("allclose", "isclose", "array_equiv")
_REDUCING = tuple("all any sum prod count_nonzero nonzero flatnonzero argwhere dot vdot inner".split())


@contextlib.contextmanager
def sizes_checked(note: Callable[[], object]) -> Iterator[None]:
    """Notice comparisons of an empty array with another one, and reductions of empty arrays, in a block.

    Args:
        note: function to call at each of them.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        yield
        return
    places = [(numpy, name, 0, 2) for name in _COMPARING]
    places += [(numpy, name, 0, 1) for name in _REDUCING]
    places.append((numpy.linalg, "norm", 0, 1))
    utilities = sys.modules.get("numpy.testing._private.utils")
    if utilities is not None:
        places.append((utilities, "assert_array_compare", 1, 2))
    originals = [vars(module)[name] for module, name, _, _ in places]
    for (module, name, first, count), original in zip(places, originals, strict=True):
        setattr(module, name, _checking(original, first, count, note))
    try:
        yield
    finally:
        for (module, name, _, _), original in zip(places, originals, strict=True):
            setattr(module, name, original)


def _checking(function: Any, first: int, count: int, note: Callable[[], object]) -> Any:
    """Function that looks at its operands before it does what it does.

    Args:
        function: function of NumPy.
        first: place of its first operand.
        count: number of its operands.
        note: function to call if one of two operands is empty, or the only one.
    """
    numpy = sys.modules["numpy"]

    @functools.wraps(function)
    def checked(*arguments: Any, **keywords: Any) -> Any:
        given = list(arguments)
        sizes = set()
        for place in range(first, first + count):
            # An operand is converted once: an object could convert to another array the next time.
            with contextlib.suppress(Exception):
                operand = numpy.asanyarray(given[place])
                sizes.add(bool(operand.size))
                given[place] = operand
        if False in sizes and (count == 1 or True in sizes):
            note()
        return function(*given, **keywords)

    return checked

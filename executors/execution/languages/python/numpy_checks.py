"""Checks of what a test compares with NumPy, by which an array without elements agrees with any other."""

import contextlib
import functools
import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any

_COMPARING = ("allclose", "isclose", "array_equiv")
_SCALARS = frozenset({int, float, complex, bool})  # as they are, they do not widen the other operand
_OPERATORS = tuple("add sub mul truediv floordiv mod pow matmul eq ne".split())
_REDUCING = tuple("all any sum prod count_nonzero nonzero flatnonzero argwhere dot vdot inner".split())


@contextlib.contextmanager
def sizes_checked(note: Callable[[], object]) -> Iterator[None]:
    """Notice operations on an empty array and another one, and reductions of empty arrays, in a block.

    Args:
        note: function to call at each of them.
    """
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        yield
        return
    places = [(numpy, name, 0, 2) for name in _COMPARING]
    places += [(numpy, name, 0, 1) for name in _REDUCING]
    places += [(operator, name, 0, 2) for name in _OPERATORS]
    places.append((numpy.linalg, "norm", 0, 1))
    utilities = sys.modules.get("numpy.testing._private.utils")
    if utilities is not None:
        places.append((utilities, "assert_array_compare", 1, 2))
    places += [(numpy, name, 0, 2) for name, value in vars(numpy).items() if _is_binary(value)]
    originals = [vars(module)[name] for module, name, _, _ in places]
    for (module, name, first, count), original in zip(places, originals, strict=True):
        checking = _checking(original, first, count, note)
        setattr(module, name, _CheckedUfunc(original, checking, note) if _is_binary(original) else checking)
    try:
        yield
    finally:
        for (module, name, _, _), original in zip(places, originals, strict=True):
            setattr(module, name, original)


def _is_binary(value: Any) -> bool:
    """Return whether a value is a universal function of two operands."""
    return isinstance(value, sys.modules["numpy"].ufunc) and value.nin == 2


class _CheckedUfunc:
    """Universal function of NumPy that looks at its operands; its other members are those of the function.

    Args:
        original: the function.
        checking: function that looks at two operands and calls it.
        note: function to call if an empty array is reduced.
    """

    def __init__(self, original: Any, checking: Callable[..., Any], note: Callable[[], object]) -> None:
        self._original = original
        self._checking = checking
        self._reducing = _checking(original.reduce, 0, 1, note)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._checking(*arguments, **keywords)

    def reduce(self, *arguments: Any, **keywords: Any) -> Any:
        """Reduce an array. What NumPy itself reduces on the way, as in ``allclose``, is not looked at."""
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        of_numpy = caller.partition(".")[0] == "numpy"
        return (self._original.reduce if of_numpy else self._reducing)(*arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _checking(function: Any, first: int, count: int, note: Callable[[], object]) -> Any:
    """Function that looks at its operands before it does what it does.

    Args:
        function: function of NumPy, or an operator as a function.
        first: place of its first operand.
        count: number of its operands.
        note: function to call if one of two operands is empty, or the only one.
    """
    numpy: Any = sys.modules["numpy"]
    of_anything = vars(operator).get(function.__name__) is function

    @functools.wraps(function)
    def checked(*arguments: Any, **keywords: Any) -> Any:
        given = list(arguments)
        if of_anything and not any(isinstance(one, numpy.ndarray) for one in given):
            return function(*given, **keywords)
        sizes = set()
        for place in range(first, first + count):
            # An operand is converted once: an object could convert to another array the next time.
            with contextlib.suppress(Exception):
                operand = numpy.asanyarray(given[place])
                sizes.add(bool(operand.size))
                if type(given[place]) not in _SCALARS:
                    given[place] = operand
        if False in sizes and (count == 1 or True in sizes):
            note()
        return function(*given, **keywords)

    return checked

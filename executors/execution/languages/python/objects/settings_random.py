"""Random state that a test sets: ``random.seed`` and ``random.setstate``, and NumPy's counterparts.

A generator is one stream for a test and a candidate that share a process. Here each of the two has its own.
Whenever the test seeds the generator, sets or reads its state, the state at the next request crosses to the
candidate. From then on the two streams are independent.
"""

import functools
import random
import sys
from collections.abc import Callable
from typing import Any

_NUMPY = "numpy.random"
_set_state = random.setstate  # which a test may replace in its module


class SeedWatch:
    """Random state of the judge's process, told after the test has set or read it."""

    def __init__(self) -> None:
        self._touched: set[str] = set()
        self._numpy = False
        self._replaced: list[tuple[Any, str, Any]] = []
        self._replace(random, "random", ("seed", "setstate", "getstate"))
        self._watch_numpy()

    def pieces(self) -> list[list[Any]]:
        """States that the test has touched since the last call."""
        if not self._numpy and "numpy" in sys.modules and self._watch_numpy():
            self._touched.add(_NUMPY)  # it may have been seeded just after it was imported
        if not self._touched:
            return []
        found = [piece for name in sorted(self._touched) if (piece := _STATES[name]())]
        self._touched.clear()
        return found

    def close(self) -> None:
        """Give the functions their places back that set or read the states."""
        for module, function, original in self._replaced:
            setattr(module, function, original)

    def _watch_numpy(self) -> bool:
        module = sys.modules.get(_NUMPY)
        self._numpy = module is not None and hasattr(module, "set_state")
        if self._numpy:
            self._replace(module, _NUMPY, ("seed", "set_state", "get_state"))
        return self._numpy

    def _replace(self, module: Any, name: str, functions: tuple[str, ...]) -> None:
        for function in functions:
            original = getattr(module, function)
            self._replaced.append((module, function, original))
            setattr(module, function, _noticing(original, functools.partial(self._touched.add, name)))


def _noticing(function: Callable[..., Any], notice: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        notice()
        return result

    return wrapper


def _python_state() -> list[Any]:
    version, words, gauss = random._inst.getstate()
    return ["random", version, _hex(words), gauss]


def _numpy_state() -> list[Any] | None:
    generator = vars(sys.modules[_NUMPY])["mtrand"]._rand
    state = generator.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":  # replaced by set_bit_generator
        return None
    inner = state["state"]
    return [
        _NUMPY,
        _hex(inner["key"].tolist()),
        int(inner["pos"]),
        int(state["has_gauss"]),
        float(state["gauss"]),
    ]


_STATES: dict[str, Callable[[], list[Any] | None]] = {"random": _python_state, _NUMPY: _numpy_state}


def restore_seed(name: str, content: list[Any]) -> bool:
    """Set the random state of a piece.

    Returns:
        False if the piece is of another kind.
    """
    if name == "random":
        version, words, gauss = content
        _set_state((version, _words(words), gauss))
    elif name == _NUMPY:
        import numpy.random  # optional; the test has imported it

        words, position, has_gauss, gauss = content
        key: Any = _words(words)
        vars(numpy.random)["mtrand"]._rand.set_state(("MT19937", key, position, has_gauss, gauss))
    else:
        return False
    return True


def _hex(words: Any) -> str:
    return b"".join(word.to_bytes(4, "little") for word in words).hex()


def _words(text: str) -> tuple[int, ...]:
    return tuple(memoryview(bytes.fromhex(text)).cast("I"))

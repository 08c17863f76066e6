"""Stand-in for pytest in the sandbox, where it is not installed: what single-file tests commonly use."""

import importlib
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, Self
from unittest import SkipTest

__version__ = "8.0"

PARAMETERS = "parameters of pytest.mark.parametrize"
"""Attribute of a function: its sets of parameters, as (names, values)."""

IS_FIXTURE = "pytest.fixture"
"""Attribute of a function: True if it is a fixture."""

IS_ALWAYS_USED = "autouse of pytest.fixture"
"""Attribute of a fixture: True if every test has it."""

FIXTURE_PARAMETERS = "params of pytest.fixture"
"""Attribute of a fixture: values of ``request.param``, for each of which every test runs."""

_RELATIVE, _ABSOLUTE = 1e-6, 1e-12


class fail(AssertionError):  # noqa: N801, N818 - called like pytest's function
    """Failure of a test. ``pytest.fail(reason)`` raises it."""

    Exception = AssertionError

    def __new__(cls, reason: str = "", *_: Any, **__: Any) -> NoReturn:
        """Raise the failure."""
        raise AssertionError(reason)


def skip(reason: str = "", **_: Any) -> NoReturn:
    """Skip the running case."""
    raise SkipTest(reason)


def xfail(reason: str = "") -> NoReturn:
    """End the running case, which is expected to fail."""
    raise SkipTest(reason)


def importorskip(name: str, *_: Any, **__: Any) -> Any:
    """Import a module; skip the running case if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SkipTest(name) from None


def main(*_: Any, **__: Any) -> int:
    """Do nothing: cases run after the statements of the test."""
    return 0


class ExceptionInfo:
    """Exception that ``raises`` has caught.

    Attributes:
        value, type: the exception and its class; None before it was raised.
    """

    def __init__(self) -> None:
        self.value: Any = None
        self.type: Any = None

    @property
    def typename(self) -> str:
        """Name of its class."""
        return str(self.type.__name__)

    @property
    def tb(self) -> Any:
        """Its traceback."""
        return self.value.__traceback__

    def match(self, pattern: str) -> bool:
        """Assert that its text matches a pattern."""
        text = str(self.value)
        assert re.search(pattern, text), f"{pattern!r} does not match {text!r}"
        return True


class _Raises:
    def __init__(self, expected: Any, match: Any) -> None:
        self._expected = expected
        self._match = match
        self._info = ExceptionInfo()

    def __enter__(self) -> ExceptionInfo:
        return self._info

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if kind is None:
            raise AssertionError(f"DID NOT RAISE {self._expected!r}")
        if not issubclass(kind, self._expected):
            return False
        self._info.value, self._info.type = error, kind
        if self._match is not None:
            self._info.match(self._match)
        return True


def raises(expected: Any, *arguments: Any, match: Any = None, **keywords: Any) -> Any:
    """Assert that a block, or a function given next, raises an exception of a class."""
    context = _Raises(expected, match)
    if not arguments:
        return context
    function, *rest = arguments
    with context as info:
        function(*rest, **keywords)
    return info


class _Warns:
    def __init__(self, expected: Any, match: Any) -> None:
        self._expected = expected
        self._match = match
        self._catching = warnings.catch_warnings(record=True)
        self._caught: list[Any] = []

    def __enter__(self) -> list[Any]:
        caught = self._catching.__enter__()
        self._caught = [] if caught is None else caught
        warnings.simplefilter("always")
        return self._caught

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._catching.__exit__(kind, error, trace)
        if kind is None and not any(
            issubclass(warning.category, self._expected)
            and (self._match is None or re.search(self._match, str(warning.message)))
            for warning in self._caught
        ):
            raise AssertionError(f"DID NOT WARN {self._expected!r}")


def warns(expected: Any = Warning, *, match: Any = None) -> Any:
    """Assert that a block warns with a category."""
    return _Warns(expected, match)


def deprecated_call(*, match: Any = None) -> Any:
    """Assert that a block warns of something deprecated."""
    return _Warns((DeprecationWarning, PendingDeprecationWarning, FutureWarning), match)


class approx:  # noqa: N801 - called like pytest's class
    """Number, or collection of numbers, that equals others within a tolerance."""

    __array_ufunc__ = None
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expected: Any, rel: Any = None, abs: Any = None, nan_ok: bool = False) -> None:
        self.expected = expected
        self._options = {"rel": rel, "abs": abs, "nan_ok": nan_ok}

    def __eq__(self, actual: object) -> bool:
        expected: Any = self.expected
        other: Any = actual
        if isinstance(expected, Mapping):
            return (
                isinstance(other, Mapping)
                and expected.keys() == other.keys()
                and all(self._part(expected[key]) == other[key] for key in expected)
            )
        if hasattr(expected, "shape") or hasattr(other, "shape"):
            return self._equals_array(other)
        if isinstance(expected, list | tuple):
            return (
                type(other) is not str
                and hasattr(other, "__len__")
                and len(other) == len(expected)
                and all(self._part(part) == item for part, item in zip(expected, other, strict=True))
            )
        return self._equals_number(other)

    def __repr__(self) -> str:
        return f"approx({self.expected!r})"

    def _part(self, expected: Any) -> Self:
        return type(self)(expected, **self._options)

    def _equals_array(self, other: Any) -> bool:
        numpy = importlib.import_module("numpy")
        expected, actual = numpy.asarray(self.expected), numpy.asarray(other)
        if expected.shape not in {actual.shape, ()}:
            return False
        pairs = zip(
            numpy.broadcast_to(expected, actual.shape).ravel().tolist(),
            actual.ravel().tolist(),
            strict=True,
        )
        return all(self._part(part) == item for part, item in pairs)

    def _equals_number(self, other: Any) -> bool:
        expected = self.expected
        if expected == other:
            return True
        if isinstance(expected, str | bytes | bool | None) or isinstance(other, str | bytes | bool | None):
            return False
        try:
            if expected != expected or other != other:  # noqa: PLR0124 - not a number
                return bool(self._options["nan_ok"] and expected != expected and other != other)  # noqa: PLR0124
            if abs(expected) == float("inf"):
                return False
            return bool(abs(expected - other) <= self._tolerance())
        except TypeError:
            return False

    def _tolerance(self) -> Any:
        relative, absolute = self._options["rel"], self._options["abs"]
        if relative is None and absolute is not None:
            return absolute
        scaled = (_RELATIVE if relative is None else relative) * abs(self.expected)
        return max(scaled, _ABSOLUTE if absolute is None else absolute)


class _Parameters:
    """Values of one case of a parametrized test."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.values = values


def param(*values: Any, **_: Any) -> _Parameters:
    """Values of one case of a parametrized test."""
    return _Parameters(values)


class _Marks:
    """``pytest.mark``: ``parametrize``, ``skip`` and ``skipif``; any other mark has no effect."""

    def parametrize(self, names: Any, values: Iterable[Any], **_: Any) -> Callable[[Any], Any]:
        """Run a test once for each value."""
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",") if name.strip()]
        rows = []
        for value in values:
            if isinstance(value, _Parameters):
                rows.append(tuple(value.values))
            else:
                rows.append((value,) if len(names) == 1 else tuple(value))

        def mark(test: Any) -> Any:
            setattr(test, PARAMETERS, [*getattr(test, PARAMETERS, ()), (tuple(names), rows)])
            return test

        return mark

    def skip(self, *arguments: Any, **_: Any) -> Any:
        """Skip a test."""
        if arguments and callable(arguments[0]):
            return _skipped(arguments[0])
        return _skipped

    def skipif(self, condition: Any, *_: Any, **__: Any) -> Any:
        """Skip a test under a condition."""
        return _skipped if condition else _unchanged

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _any_mark


def _any_mark(*arguments: Any, **keywords: Any) -> Any:
    """Mark without effect, with or without arguments."""
    if len(arguments) == 1 and not keywords and callable(arguments[0]):
        return arguments[0]
    return _unchanged


def _unchanged(test: Any) -> Any:
    return test


def _skipped(test: Any) -> Any:
    test.__unittest_skip__ = True
    return test


mark = _Marks()


def _single(value: Any) -> Any:
    return value.values[0] if isinstance(value, _Parameters) else value


def fixture(*arguments: Any, autouse: bool = False, params: Iterable[Any] = (), **_: Any) -> Any:
    """Fixture: a function whose result is given to the tests that have a parameter of its name."""

    def mark(function: Any) -> Any:
        setattr(function, IS_FIXTURE, True)
        setattr(function, IS_ALWAYS_USED, autouse)
        setattr(function, FIXTURE_PARAMETERS, [_single(value) for value in params])
        return function

    return mark(arguments[0]) if arguments and callable(arguments[0]) else mark

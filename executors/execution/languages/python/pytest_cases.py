"""Cases of a Python test in pytest's style: functions and classes, parameters, fixtures of its own."""

import importlib
import inspect
import itertools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

from testbudget.executors.execution.languages.python.pytest_fixtures import FIXTURES
from testbudget.executors.execution.languages.python.pytest_stand_in import (
    FIXTURE_PARAMETERS,
    IS_ALWAYS_USED,
    IS_FIXTURE,
    PARAMETERS,
)

_REQUEST = "request of "  # before the name of a fixture: its parameter
_HOOKS = (
    ("setup_function", "teardown_function"),
    ("setup_class", "teardown_class"),
    ("setup_method", "teardown_method"),
)


class UnknownFixtureError(Exception):
    """Error for a test function with a parameter that nothing gives a value for."""


class PytestCase(NamedTuple):
    """Case in pytest's style.

    Attributes:
        name: function, or class and method.
        function: what is called for it.
        run: runs the case once.
        is_skipped: True if it is marked to be skipped.
    """

    name: str
    function: Any
    run: Callable[[], None]
    is_skipped: bool


def pytest_cases(names: Mapping[str, Any], uncalled: Iterable[str]) -> Iterator[PytestCase]:
    """Cases of functions and classes that the test itself does not call, in order.

    Args:
        names: namespace of the test.
        uncalled: names of the functions and classes.
    """
    for name in uncalled:
        found = names.get(name)
        if isinstance(found, type):
            if "__init__" not in vars(found) and not hasattr(found, "assertEqual"):
                yield from _class_cases(found, names)
        elif inspect.isfunction(found) and not getattr(found, IS_FIXTURE, False):
            yield from _function_cases(name, found, names)
        elif not inspect.isfunction(found) and callable(found):
            yield PytestCase(name, found, found, is_skipped=False)


def _class_cases(kind: type, names: Mapping[str, Any]) -> Iterator[PytestCase]:
    skipped = bool(getattr(kind, "__unittest_skip__", False))
    for name in [name for name in dir(kind) if name.startswith("test")]:
        label = f"{kind.__name__}.{name}"
        for case in _function_cases(label, getattr(kind, name), names, kind):
            yield case._replace(is_skipped=case.is_skipped or skipped)


def _function_cases(
    label: str, function: Any, names: Mapping[str, Any], kind: type | None = None
) -> Iterator[PytestCase]:
    skipped = bool(getattr(function, "__unittest_skip__", False))
    case_name = label.rpartition(".")[2]
    marks = [*getattr(function, PARAMETERS, ()), *getattr(kind, PARAMETERS, ())]
    for name in _parameters(function):
        fixture = getattr(kind, name, None) or names.get(name)
        if values := getattr(fixture, FIXTURE_PARAMETERS, ()):
            marks.append(((_REQUEST + name,), [(value,) for value in values]))
    for rows in itertools.product(*(rows for _, rows in marks)):
        given: dict[str, Any] = {}
        for (parameters, _), row in zip(marks, rows, strict=True):
            given.update(zip(parameters, row, strict=True))
        yield PytestCase(label, function, _bound(case_name, function, kind, given, names), skipped)


def _bound(
    name: str, function: Any, kind: type | None, given: Mapping[str, Any], names: Mapping[str, Any]
) -> Callable[[], None]:
    """Function that runs one case, with its set-up and fixtures."""

    def run() -> None:
        with ExitStack() as stack:
            owner: Any = None if kind is None else kind()
            test = function if owner is None else getattr(owner, name)
            for set_up, tear_down in _HOOKS:
                hooks = [
                    names.get(hook) if owner is None else getattr(owner, hook, None)
                    for hook in (set_up, tear_down)
                ]
                _call_hook(hooks[0], test)
                stack.callback(_call_hook, hooks[1], test)
            fixtures = _Fixtures(names, stack, dict(given), owner)
            fixtures.set_up()
            result = test(**{one: fixtures.value(one) for one in _parameters(test)})
            if inspect.iscoroutine(result):
                importlib.import_module("asyncio").run(result)

    return run


class _Fixtures:
    """Values of fixtures for one case."""

    def __init__(
        self, names: Mapping[str, Any], stack: ExitStack, values: dict[str, Any], owner: Any
    ) -> None:
        self._names = names
        self._stack = stack
        self._values = values
        self._owner = owner

    def value(self, name: str) -> Any:
        """Value of a fixture or parameter.

        Raises:
            UnknownFixtureError: there is none of this name.
        """
        if name not in self._values:
            self._values[name] = self._made(name)
        return self._values[name]

    def set_up(self) -> None:
        """Make the fixtures that every case has."""
        for name, value in list(self._names.items()):
            if inspect.isfunction(value) and getattr(value, IS_ALWAYS_USED, False):
                self.value(name)

    def _made(self, name: str) -> Any:
        function: Any = getattr(self._owner, name, None) or self._names.get(name)
        if not getattr(function, IS_FIXTURE, False):
            if name not in FIXTURES:
                raise UnknownFixtureError(name)
            return FIXTURES[name](self._stack)
        request = types.SimpleNamespace(param=self._values.get(_REQUEST + name))
        given = {one: request if one == "request" else self.value(one) for one in _parameters(function)}
        made = function(**given)
        if not inspect.isgenerator(made):
            return made
        self._stack.callback(next, made, None)
        return next(made)


def _parameters(function: Any) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]


def _call_hook(hook: Any, test: Any) -> None:
    if callable(hook):
        hook(*[test][: len(_parameters(hook))])

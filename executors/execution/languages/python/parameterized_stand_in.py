"""Stand-in for the package parameterized in the sandbox, where it is not installed."""

import functools
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any


class parameterized:  # noqa: N801 - called like the package's class
    """Methods of a TestCase that run once for each set of arguments."""

    @classmethod
    def expand(cls, rows: Iterable[Any], *_: Any, **__: Any) -> Callable[[Any], None]:
        """Replace a method by one for each row."""
        names: Any = sys._getframe(1).f_locals

        def expanded(method: Any) -> None:
            for number, row in enumerate(rows() if callable(rows) else rows):
                given, named = _arguments(row)
                suffix = (
                    f"_{re.sub('[^a-zA-Z0-9_]', '_', given[0])}" if given and type(given[0]) is str else ""
                )
                names[f"{method.__name__}_{number}{suffix}"] = _with_arguments(method, given, named)

        return expanded


class param:  # noqa: N801 - called like the package's class
    """Arguments of one case."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.args, self.kwargs = arguments, keywords


def parameterized_class(names: Any, rows: Iterable[Any] | None = None, **_: Any) -> Callable[[Any], Any]:
    """Add a class for each row, with the attributes of the row."""
    if isinstance(names, str):
        names = (names,)
    attributes = list(names) if rows is None else [dict(zip(names, row, strict=True)) for row in rows]
    namespace = sys._getframe(1).f_globals

    def decorated(test_class: Any) -> Any:
        methods = {name: value for name, value in vars(test_class).items() if name.startswith("test")}
        for number, one in enumerate(attributes):
            name = f"{test_class.__name__}_{number}"
            content = {**methods, **one, "__module__": test_class.__module__}
            namespace[name] = type(name, (test_class,), content)
        for name in methods:
            delattr(test_class, name)
        return test_class

    return decorated


def _arguments(row: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(row, param):
        return row.args, row.kwargs
    if isinstance(row, str) or not isinstance(row, Iterable):
        return (row,), {}
    return tuple(row), {}


def _with_arguments(method: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    @functools.wraps(method)
    def case(self: Any, *more: Any) -> Any:
        return method(self, *given, *more, **named)

    del case.__wrapped__
    return case

"""Warnings of a candidate, replayed in the judge's process, where the test's filters decide on them."""

import builtins
import warnings
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError

_CATEGORIES: dict[str, type[Warning]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Warning)
}
_CONTROL_FLOW = (AssertionError, StopIteration, StopAsyncIteration)
_warn = warnings.warn_explicit  # which a test may replace in its module
_DEFAULT_FILTERS = tuple(warnings.filters)


class WarningRecords:
    """Warnings of the candidate's process. The filters of the interpreter keep none back there.

    Args:
        pending: list of pieces to add to.
    """

    def __init__(self, pending: list[list[Any]]) -> None:
        self._pending = pending
        self._show = warnings.showwarning

    def install(self) -> None:
        """Keep all warnings from now on, but for those that filters of the candidate exclude."""
        filters: Any = warnings.filters
        filters[:] = [item for item in filters if item not in _DEFAULT_FILTERS]
        warnings.simplefilter("always", append=True)
        warnings.showwarning = self._keep  # type: ignore[assignment]

    def _keep(
        self,
        message: Any,
        category: Any,
        filename: str,
        line: int,
        file: Any = None,
        text: str | None = None,
    ) -> None:
        if file is not None:
            self._show(message, category, filename, line, file, text)
            return
        nearest: Any = next(kind for kind in category.__mro__ if _CATEGORIES.get(kind.__name__) is kind)
        piece = ["warning", nearest.__name__, str(message), line if type(line) is int else 1]
        if nearest is not category:
            piece.append(message)
        self._pending.append(piece)


class WarningReplay:
    """Replay of a candidate's warnings. It remembers which ones were shown, as a module does.

    Args:
        decode: function that gives the value of a JSON form; None to use classes of the library alone.
    """

    def __init__(self, decode: Callable[[Any], Any] | None = None) -> None:
        self._decode = decode
        self._registry: dict[str | tuple[str, type[Warning], int], int] = {}

    def replay(self, content: list[Any]) -> None:
        """Warn of what the candidate has warned of.

        Raises:
            BrokenPairError: this is no warning.
            Warning: a filter of the test makes it an exception.
        """
        if [type(item) for item in content[:3]] != [str, str, int] or len(content) > 4:
            raise BrokenPairError("no warning")
        name, text, line, *own = content
        category = _CATEGORIES.get(name)
        if category is None:
            raise BrokenPairError("no class of warnings")
        message: Any = text
        if own and self._decode is not None:
            warning = self._decode(own[0])
            if not isinstance(warning, Warning):
                raise BrokenPairError("no warning")
            if not isinstance(warning, _CONTROL_FLOW):  # a filter may make it an exception
                message = warning
        _warn(message, category, f"<{MODULE}>", line, MODULE, self._registry)

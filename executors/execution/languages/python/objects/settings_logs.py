"""Log records of a candidate, replayed in the judge's process, and the levels that a test sets."""

import logging
from typing import Any

from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError

_FORMATTER = logging.Formatter()
_get_logger, _disable = logging.getLogger, logging.disable  # which a test may replace in their module


class LogLevels:
    """Levels of the loggers in the judge's process, told once they have changed."""

    def __init__(self) -> None:
        self._first = _levels()
        self._known = dict(self._first)
        self._disabled = logging.root.manager.disable

    def pieces(self) -> list[list[Any]]:
        """Levels that have changed since the last call; None for one that is again what it was first."""
        levels, disabled = _levels(), logging.root.manager.disable
        if levels == self._known and disabled == self._disabled:
            return []
        changed = {
            name: None if level == self._first.get(name, logging.NOTSET) else level
            for name, level in levels.items()
            if level != self._known.get(name, logging.NOTSET)
        }
        self._known, self._disabled = levels, disabled
        return [["levels", changed, disabled]]


def _levels() -> dict[str, int]:
    found = {"": logging.root.level}
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger):
            found[name] = logger.level
    return found


class LogRecords:
    """Log records of the candidate's process. Its own handlers get them, too.

    Args:
        pending: list of pieces to add to.
    """

    def __init__(self, pending: list[list[Any]]) -> None:
        self._pending = pending
        self._own_levels: dict[str, int] = {}
        self._call_handlers = logging.Logger.callHandlers

    def install(self) -> None:
        """Keep all records from now on."""
        records = self

        def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
            records.keep(logger, record)

        logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign,assignment]

    def keep(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        """Keep a record for the judge. Give it to the candidate's own handlers."""
        handled = logger.hasHandlers()
        try:
            text = record.getMessage()
        except Exception:  # a text with other placeholders than arguments: a handler would report it
            text = str(record.msg)
        trace = None if not record.exc_info else _FORMATTER.formatException(record.exc_info)
        self._pending.append(["log", logger.name, record.levelno, text, record.levelname, trace, handled])
        if handled:
            self._call_handlers(logger, record)

    def set_levels(self, levels: dict[str, int | None], disabled: int) -> None:
        """Set the levels that the test has set, or set them back where the test has."""
        _disable(disabled)
        for name, level in levels.items():
            logger = _get_logger(name or None)
            if level is not None:
                self._own_levels.setdefault(name, logger.level)
                logger.setLevel(level)
            elif name in self._own_levels:
                logger.setLevel(self._own_levels.pop(name))


def replay_log(content: list[Any]) -> None:
    """Give a log record of the candidate's to the judge's handlers.

    Without a handler on either side, the record is printed as usual.

    Raises:
        BrokenPairError: this is no log record.
    """
    if [type(item) for item in content[:4]] != [str, int, str, str] or len(content) != 6:
        raise BrokenPairError("no log record")
    name, level, text, level_name, trace, handled = content
    if type(trace) not in {str, type(None)} or type(handled) is not bool:
        raise BrokenPairError("no log record")
    logger = _get_logger(None if name == "root" else name)
    if handled and not logger.hasHandlers():
        return
    record = logger.makeRecord(name, level, "", 0, text, (), None)
    record.levelname = level_name
    record.exc_text = trace
    logger.handle(record)

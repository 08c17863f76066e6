"""Fixtures that pytest itself gives to tests, such as ``capsys``, ``caplog`` and ``monkeypatch``."""

import importlib
import io
import logging
import os
import pathlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

_MISSING: Any = object()


class CapturedText(NamedTuple):
    """Text that was printed.

    Attributes:
        out: to standard output.
        err: to standard error.
    """

    out: str
    err: str


class CapturedStreams:
    """Standard output and standard error, captured during a case."""

    def __init__(self, stack: ExitStack) -> None:
        self._out, self._err = io.StringIO(), io.StringIO()
        stack.callback(setattr, sys, "stdout", sys.stdout)
        stack.callback(setattr, sys, "stderr", sys.stderr)
        sys.stdout, sys.stderr = self._out, self._err

    def readouterr(self) -> CapturedText:
        """Text since the last call."""
        captured = CapturedText(self._out.getvalue(), self._err.getvalue())
        for stream in (self._out, self._err):
            stream.seek(0)
            stream.truncate()
        return captured


class CapturedRecords(logging.Handler):
    """Log records of a case.

    Attributes:
        records: the records.
    """

    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.setFormatter(logging.Formatter("%(levelname)-8s %(name)s:%(filename)s:%(lineno)d %(message)s"))
        self._stack = stack
        logging.root.addHandler(self)
        stack.callback(logging.root.removeHandler, self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    @property
    def messages(self) -> list[str]:
        """Message of each record."""
        return [record.getMessage() for record in self.records]

    @property
    def text(self) -> str:
        """Formatted records, one a line."""
        return "".join(f"{self.format(record)}\n" for record in self.records)

    @property
    def record_tuples(self) -> list[tuple[str, int, str]]:
        """Name of the logger, level and message of each record."""
        return [(record.name, record.levelno, record.getMessage()) for record in self.records]

    def clear(self) -> None:
        """Forget the records so far."""
        self.records.clear()

    def set_level(self, level: int | str, logger: str | None = None) -> None:
        """Set the level of a logger until the case ends."""
        found = logging.getLogger(logger)
        self._stack.callback(found.setLevel, found.level)
        found.setLevel(level)

    @contextmanager
    def at_level(self, level: int | str, logger: str | None = None) -> Iterator[None]:
        """Set the level of a logger during a block."""
        found = logging.getLogger(logger)
        before = found.level
        found.setLevel(level)
        try:
            yield
        finally:
            found.setLevel(before)


class MonkeyPatch:
    """Changes of attributes, items, environment and directory that end with the case."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def setattr(self, target: Any, name: Any, value: Any = _MISSING, raising: bool = True) -> None:
        """Set an attribute of an object, or one that a dotted name tells."""
        if value is _MISSING:
            value = name
            module, _, name = target.rpartition(".")
            target = importlib.import_module(module)
        original = getattr(target, name, _MISSING)
        if original is _MISSING and raising:
            raise AttributeError(name)
        setattr(target, name, value)
        if original is _MISSING:
            self._stack.callback(delattr, target, name)
        else:
            self._stack.callback(setattr, target, name, original)

    def delattr(self, target: Any, name: str, raising: bool = True) -> None:
        """Delete an attribute."""
        if hasattr(target, name) or raising:
            self._stack.callback(setattr, target, name, getattr(target, name))
            delattr(target, name)

    def setitem(self, mapping: Any, key: Any, value: Any) -> None:
        """Set an item of a dictionary."""
        if key in mapping:
            self._stack.callback(mapping.__setitem__, key, mapping[key])
        else:
            self._stack.callback(mapping.pop, key, None)
        mapping[key] = value

    def delitem(self, mapping: Any, key: Any, raising: bool = True) -> None:
        """Delete an item of a dictionary."""
        if key in mapping or raising:
            self._stack.callback(mapping.__setitem__, key, mapping[key])
            del mapping[key]

    def setenv(self, name: str, value: Any) -> None:
        """Set an environment variable."""
        self.setitem(os.environ, name, str(value))

    def delenv(self, name: str, raising: bool = True) -> None:
        """Delete an environment variable."""
        self.delitem(os.environ, name, raising)

    def chdir(self, path: Any) -> None:
        """Change the working directory."""
        self._stack.callback(os.chdir, pathlib.Path.cwd())
        os.chdir(path)


def _temporary_folder(_: ExitStack) -> pathlib.Path:
    return pathlib.Path(tempfile.mkdtemp())


def _warnings(stack: ExitStack) -> Any:
    caught = stack.enter_context(warnings.catch_warnings(record=True))
    warnings.simplefilter("default")
    return caught


FIXTURES: dict[str, Callable[[ExitStack], Any]] = {
    "caplog": CapturedRecords,
    "capsys": CapturedStreams,
    "monkeypatch": MonkeyPatch,
    "recwarn": _warnings,
    "tmp_path": _temporary_folder,
}
"""Functions that make a fixture, by its name. What a fixture sets up ends with the stack."""

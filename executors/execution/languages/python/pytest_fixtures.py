"""Fixtures that pytest itself gives to tests: ``capsys``, ``monkeypatch`` and ``tmp_path``."""

import importlib
import io
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
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


FIXTURES: dict[str, Callable[[ExitStack], Any]] = {
    "capsys": CapturedStreams,
    "monkeypatch": MonkeyPatch,
    "tmp_path": _temporary_folder,
}
"""Functions that make a fixture, by its name. What a fixture sets up ends with the stack."""

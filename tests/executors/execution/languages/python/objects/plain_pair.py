"""Judge and candidate in two processes, with settings between them and nothing else."""

import contextlib
import decimal
import json
import os
import random
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from testbudget.executors.execution.languages.python.objects.settings import (
    CandidateSettings,
    JudgeSettings,
)


class _Handle:
    """Reverse handle: a call is a request to the judge."""

    def __init__(self, ask: Callable[..., Any], number: int) -> None:
        self._ask, self._number = ask, number

    def __call__(self, *arguments: Any) -> Any:
        return self._ask("call", self._number, *arguments)


class PlainPair:
    """Judge in this process and candidate in a forked one, joined by pipes of JSON lines."""

    def __init__(self, candidate: str, targets: tuple[str, ...] = (), **names: Any) -> None:
        self._values: list[Any] = []
        self.test_names: dict[str, Any] = {}
        own, theirs = os.pipe(), os.pipe()
        self._process = os.fork()
        if not self._process:
            os.close(own[1])
            os.close(theirs[0])
            _serve(candidate, os.fdopen(own[0]), os.fdopen(theirs[1], "w"))
        os.close(own[0])
        os.close(theirs[1])
        self._reading, self._writing = os.fdopen(theirs[0]), os.fdopen(own[1], "w")
        self.settings = JudgeSettings(self._encode, targets, names, self.test_names)
        self.solution = names

    def __call__(self, name: str, *arguments: Any) -> Any:
        self._send([name, arguments, self.settings.pieces()])
        while True:
            kind, content, pieces = json.loads(self._reading.readline())
            for piece in pieces:
                self.settings.apply(piece)
            if kind == "answer":
                return content
            if kind == "raised":
                raise RuntimeError(content)
            request, *rest = content
            self._send(
                self._values[rest[0]](*rest[1:])
                if request == "call"
                else self.settings.answer(request, rest)
            )

    def end(self) -> None:
        self._writing.close()
        self._reading.close()

    def wait(self) -> None:
        os.waitpid(self._process, 0)

    def _send(self, message: Any) -> None:
        self._writing.write(json.dumps(message) + "\n")
        self._writing.flush()

    def _encode(self, value: Any) -> int:
        self._values.append(value)
        return len(self._values) - 1


def _serve(candidate: str, reading: Any, writing: Any) -> None:
    def send(*message: Any) -> None:
        writing.write(json.dumps(message) + "\n")
        writing.flush()

    def ask(*request: Any) -> Any:
        send("ask", request, settings.pieces())
        return json.loads(reading.readline())

    try:
        module = types.ModuleType("solution")
        settings = CandidateSettings(lambda number: _Handle(ask, number), ask)
        sys.modules["solution"] = module
        exec(candidate, vars(module))
        settings.pieces()
        for line in reading:
            name, arguments, pieces = json.loads(line)
            try:
                for piece in pieces:
                    settings.apply(piece)
                result = getattr(module, name)(*arguments)
            except Exception:
                send("raised", traceback.format_exc(), settings.pieces())
            else:
                send("answer", result, settings.pieces())
    finally:
        os._exit(0)


@contextlib.contextmanager
def plain_pairs() -> Iterator[Callable[..., PlainPair]]:
    """Function that makes pairs. Afterwards they have ended, and settings are restored."""
    pairs: list[PlainPair] = []

    def make(candidate: str, targets: tuple[str, ...] = (), **names: Any) -> PlainPair:
        pairs.append(PlainPair(candidate, targets, **names))
        return pairs[-1]

    seeding = [(random, name) for name in ("seed", "getstate", "setstate")]
    seeding += [(np.random, name) for name in ("seed", "get_state", "set_state")]
    functions = [(module, name, getattr(module, name)) for module, name in seeding]
    limit, argv, directory = sys.getrecursionlimit(), sys.argv, Path.cwd()
    with decimal.localcontext(), np.printoptions(), np.errstate(), mock.patch.dict(os.environ):
        yield make
    for pair in pairs:
        pair.end()
    for pair in pairs:  # a later process holds the pipes of an earlier one
        pair.wait()
    for module, name, function in functions:
        setattr(module, name, function)
    sys.setrecursionlimit(limit)
    sys.argv = argv
    os.chdir(directory)
    time.tzset()

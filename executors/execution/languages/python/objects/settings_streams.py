"""Standard streams of a candidate: it prints to the judge and reads the ``sys.stdin`` of the test."""

import io
import sys
from collections.abc import Callable
from typing import Any

from testbudget.executors.execution.languages.python.objects.wire import BrokenPairError

_PLAIN_STREAMS = frozenset({io.StringIO, io.TextIOWrapper})


class PrintedText(io.TextIOBase):
    """Output stream of the candidate's process. Each text that is written is kept for the judge.

    Args:
        name: ``"out"`` or ``"err"``, the first element of its pieces.
        pending: list of pieces, shared with everything else that is to be replayed in order.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, pending: list[list[Any]]) -> None:
        self._name = name
        self._pending = pending
        self.buffer = _PrintedBytes(self)

    def writable(self) -> bool:
        """Return True."""
        return True

    def reconfigure(self, **_: object) -> None:
        """Change nothing: text is text until it is with the judge."""

    def write(self, text: str, /) -> int:
        """Keep a text for the judge."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        pending = self._pending
        if pending and pending[-1][0] == self._name:
            pending[-1].append(str.__str__(text))
        else:
            pending.append([self._name, str.__str__(text)])
        return str.__len__(text)


class _PrintedBytes(io.BufferedIOBase):
    def __init__(self, stream: PrintedText) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        content = bytes(data)
        self._stream.write(content.decode("utf-8", "backslashreplace"))
        return len(content)


def replay_text(name: str, texts: list[Any]) -> None:
    """Write what the candidate has written to the judge's current ``sys.stdout`` or ``sys.stderr``.

    A stream of the test's own gets one call for each call of the candidate's.

    Raises:
        BrokenPairError: not all are texts.
    """
    if not all(type(text) is str for text in texts):
        raise BrokenPairError("printed text that is no text")
    stream = sys.stdout if name == "out" else sys.stderr
    if stream is None:
        return
    if type(stream) in _PLAIN_STREAMS:
        texts = ["".join(texts)]
    for text in texts:
        stream.write(text)


def input_kind(stream: Any) -> str | None:
    """Kind of the judge's ``sys.stdin``: None for the one of the process itself, else text or bytes."""
    if stream is sys.__stdin__:
        return None
    return "bytes" if hasattr(stream, "buffer") else "text"


class JudgeInput(io.TextIOBase):
    """Input stream of the candidate's process that reads the judge's ``sys.stdin``.

    Args:
        ask: function that makes a request to the judge.
        kind: ``"bytes"`` if the judge's stream has a ``buffer``.
    """

    encoding = "utf-8"

    def __init__(self, ask: Callable[..., Any], kind: str) -> None:
        self._ask = ask
        if kind == "bytes":
            self.buffer = _JudgeBytes(ask)

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> str:
        """Read up to so many characters, or all."""
        return _text(self._ask("read") if size is None or size < 0 else self._ask("read", int(size)))

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """Read a line, or up to so many characters of it."""
        return _text(
            self._ask("readline") if size is None or size < 0 else self._ask("readline", int(size))
        )


class _JudgeBytes(io.BufferedIOBase):
    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        return _text(
            self._ask("read") if size is None or size < 0 else self._ask("read", int(size))
        ).encode()

    def readline(self, size: int | None = -1, /) -> bytes:
        return _text(
            self._ask("readline") if size is None or size < 0 else self._ask("readline", int(size))
        ).encode()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"sys.stdin gave {type(value).__name__}, not str")
    return value

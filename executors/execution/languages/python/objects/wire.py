"""Messages on the two pipes between a judge process and a candidate process.

A message is its length in four bytes, then compact JSON. The content may come from a candidate, so it may
be
anything. ``receive`` therefore raises a single class of errors, which ends the pair and never reaches a
test.
"""

import json
import os
import struct
import sys
from typing import Any

from testbudget.executors.execution.languages.base import Connection

MAX_MESSAGE = 64 << 20
"""Maximum number of bytes of a message."""

_HEAD = struct.Struct("<I")
_CHUNK = 1 << 18
_HEADROOM = 10_000
_LOWEST = 50
_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_loads = json.JSONDecoder().decode


class BrokenPairError(Exception):
    """Error for bytes that are no message, for a message that means nothing, or for an end of the pipe.

    Attributes:
        ended: True if the other process has closed its pipe.
    """

    def __init__(self, what: str, *, ended: bool = False) -> None:
        super().__init__(what)
        self.ended = ended


class Headroom:
    """Context in which values may be nested deeper than the recursion limit of the program allows."""

    __slots__ = ()
    _depth = 0

    def __enter__(self) -> None:
        Headroom._depth += 1
        if Headroom._depth == 1:
            sys.setrecursionlimit(sys.getrecursionlimit() + _HEADROOM)

    def __exit__(self, *_: object) -> None:
        Headroom._depth -= 1
        if Headroom._depth == 0:
            sys.setrecursionlimit(max(sys.getrecursionlimit() - _HEADROOM, _LOWEST))


class Pipe:
    """Both directions of a connection, with whole messages."""

    __slots__ = ("_buffer", "_reading", "_writing")

    def __init__(self, connection: Connection) -> None:
        self._reading = connection.reading
        self._writing = connection.writing
        self._buffer = b""

    def send(self, text: bytes) -> None:
        """Send one message.

        Raises:
            BrokenPairError: the other process has closed its pipe, or the message is too long.
        """
        if len(text) > MAX_MESSAGE:
            raise BrokenPairError("the message is too long")
        view = memoryview(_HEAD.pack(len(text)) + text)
        try:
            while view:
                view = view[os.write(self._writing, view) :]
        except OSError:
            raise BrokenPairError("the pipe is closed", ended=True) from None

    def receive(self) -> list[Any]:
        """Receive one message as parsed JSON.

        Raises:
            BrokenPairError: the pipe is at its end, or these bytes are no message.
        """
        return parse(self.receive_text())

    def receive_text(self) -> bytes:
        """Receive the text of one message.

        Raises:
            BrokenPairError: the pipe is at its end, or the message is too long.
        """
        buffer, needed = self._buffer, _HEAD.size
        parts = [buffer]
        size = len(buffer)
        known = False
        while True:
            if not known and size >= _HEAD.size:
                buffer = b"".join(parts)
                parts = [buffer]
                needed = _HEAD.size + _HEAD.unpack_from(buffer)[0]
                known = True
                if needed > _HEAD.size + MAX_MESSAGE:
                    raise BrokenPairError("the message is too long")
            if known and size >= needed:
                break
            try:
                more = os.read(self._reading, _CHUNK)
            except OSError:
                more = b""
            if not more:
                raise BrokenPairError("the pipe is at its end", ended=True)
            parts.append(more)
            size += len(more)
        buffer = b"".join(parts)
        self._buffer = buffer[needed:]
        return buffer[_HEAD.size : needed]


def text_of(message: list[Any]) -> bytes:
    """Text of a message; call it inside `Headroom`."""
    return _dumps(message).encode()


def parse(text: bytes) -> list[Any]:
    """Parse the text of a message.

    Raises:
        BrokenPairError: the text is no JSON array, or it is nested too deeply.
    """
    try:
        with Headroom():
            message = _loads(text.decode())
    except (ValueError, RecursionError, MemoryError):
        raise BrokenPairError("the message does not parse") from None
    if type(message) is not list or not message or type(message[0]) is not list or not message[0]:
        raise BrokenPairError("the message is no request and no answer")
    return message

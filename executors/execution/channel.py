"""Frames over the socket between the runner and its sandbox: a length in four bytes, then the content."""

import socket
import struct

_LENGTH = struct.Struct("<I")


def send(connection: socket.socket, content: bytes) -> None:
    """Send one frame."""
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket) -> bytes:
    """Receive one frame.

    Raises:
        EOFError: the other side has closed the connection.
        TimeoutError: the socket's timeout has passed.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        received = connection.recv_into(view)
        if not received:
            raise EOFError("the connection was closed in the middle of a frame")
        view = view[received:]
    return bytes(content)

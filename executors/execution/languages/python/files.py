"""``open`` for programs that must not get at files by other ways than their names."""

import builtins
import errno
import os
from typing import Any

_open = builtins.open
_OF_PROCESSES = ("/proc/", "/sys/", "/dev/fd/")


def open_by_name(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> Any:
    """Opens a file by its path only: not by a number, which could be that of the sandbox's own memory.

    Raises:
        PermissionError: the path leads to what the kernel shows of processes.
    """
    path = os.fspath(file)
    # Exactly a text, whose methods answer as they should.
    path = str.__str__(path) if isinstance(path, str) else os.fsdecode(bytes(path))
    if f"{os.path.realpath(path)}/".startswith(_OF_PROCESSES):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    # Unbuffered, a file would be an object that can be pointed at another number.
    return _open(path, mode, buffering if buffering else -1, encoding, errors, newline)

"""Files of a program that reads standard input: its artefact, its input, and what it prints.

All of them lie in memory. The input and the two outputs are made anew for each run, since an open file has
a position, which would pass from one run to the next. The artefact is sealed and shared by the runs of one
candidate.
"""

import fcntl
import os

from testbudget.executors.execution.languages.program_runs import ERRORS_LENGTH

MAX_OUTPUT_BYTES = 16 << 20
"""Bytes that a program may print. With a lower limit of file sizes it is that one."""

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class ProgramFiles:
    """Input, output and standard error of one run.

    Args:
        stdin: text on standard input.

    Attributes:
        descriptors: file descriptors of the three files, in the order of the streams.
    """

    def __init__(self, stdin: str) -> None:
        made = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout", "stderr")]
        self.descriptors = made
        if stdin:
            _write(made[0], stdin.encode("utf-8", "surrogatepass"))
            os.lseek(made[0], 0, os.SEEK_SET)

    def output_bytes(self) -> int:
        """Size of the output."""
        return os.fstat(self.descriptors[1]).st_size

    def output(self) -> str:
        """Text that the program has printed, at most `MAX_OUTPUT_BYTES`; other bytes as surrogates."""
        return _read(self.descriptors[1], 0, MAX_OUTPUT_BYTES).decode("utf-8", "surrogateescape")

    def errors(self) -> str:
        """Standard error; of a longer one, the beginning and the end."""
        size = os.fstat(self.descriptors[2]).st_size
        parts = [(0, size)]
        if size > ERRORS_LENGTH:
            parts = [(0, ERRORS_LENGTH // 2), (size - ERRORS_LENGTH // 2, ERRORS_LENGTH // 2)]
        texts = [_read(self.descriptors[2], start, length) for start, length in parts]
        return b"\n".join(texts).decode("utf-8", "replace")

    def close(self) -> None:
        """Close the files in this process."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def make_artefact(content: bytes) -> int:
    """Descriptor of sealed memory with this content, which can be executed."""
    descriptor = os.memfd_create("program", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    _write(descriptor, content)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _read(descriptor: int, start: int, size: int) -> bytes:
    parts = []
    while size and (part := os.pread(descriptor, size, start)):
        parts.append(part)
        start, size = start + len(part), size - len(part)
    return b"".join(parts)

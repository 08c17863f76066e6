"""Processes that a benchmark has started, those included whose parents have ended."""

import contextlib
import os
import signal
import time
from pathlib import Path

from testbudget.executors.execution.sandbox import kernel

_PAUSE_SECONDS = 0.05


def adopt_orphans() -> None:
    """Become the parent of all descendants whose parents end, so that none is lost sight of."""
    kernel.adopt_orphans()


def descendants() -> set[int]:
    """Ids of all processes that this one has started, directly or by others, and that have not ended."""
    found: set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        with contextlib.suppress(OSError):  # it has ended
            children = set(kernel.children(waiting.pop()))
            found |= children
            waiting += children
    return {process for process in found if not _has_ended(process)}


def end_descendants(seconds: float) -> list[str]:
    """Wait for all descendants to end, and end what is left then; no ``Popen`` may wait for one.

    Args:
        seconds: wall-seconds to wait.

    Returns:
        The command lines of those that had to be ended.
    """
    end = time.monotonic() + seconds
    while _reap() and time.monotonic() < end:
        time.sleep(_PAUSE_SECONDS)
    left = []
    while processes := descendants():
        for process in processes:
            with contextlib.suppress(OSError):
                left.append(
                    Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                )
                os.kill(process, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)
        _reap()
    return left


def _reap() -> set[int]:
    """Reap ended children; return the descendants that have not ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return descendants()


def _has_ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True

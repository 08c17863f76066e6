"""Sandboxes, or their runners, that end once a process inside holds much memory."""

import os
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

HOARD = "hoard = bytearray(200 << 20)\nwhile True: pass\n"
"""Program that ends its sandbox in the context below."""

_MOST_BYTES = 150 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def _children(process):
    """Ids of the children of all threads of a process; none if it has ended."""
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except OSError:
        return []


def _is_sandbox(process):
    try:
        return b"judging.sandbox_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def _guards(process):
    """Ids of the outermost processes of all sandboxes below a process."""
    for child in _children(process):
        if _is_sandbox(child):
            yield child
        else:
            yield from _guards(child)


def _workers(process):
    """Ids of the worker processes of pools below a process."""
    for child in _children(process):
        try:
            name = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if b"execution.worker_pool" in name:
            yield child


def _hoards(process):
    try:
        own = int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        own = 0
    return own > _MOST_BYTES or any(map(_hoards, _children(process)))


@contextmanager
def hoarders_end_their_sandboxes(*, with_worker=False):
    """In the context, sandboxes below this process end as soon as a process in them holds 150 MiB.

    With ``with_worker``, the worker process of the pool that they belong to is killed, too.
    """
    over = threading.Event()
    ended = _workers if with_worker else _guards

    def watch():
        while not over.wait(0.01):
            for process in ended(os.getpid()):
                if any(map(_hoards, _guards(process))) if with_worker else _hoards(process):
                    os.kill(process, signal.SIGKILL)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()

"""Removal of what untrusted code leaves behind: processes, and files in directories."""

import os
import signal
import stat
from collections.abc import Collection
from pathlib import Path

from testbudget.executors.execution.sandbox import kernel

_MAX_PROCESS_ID = 1 << 22  # largest id under any kernel setting


def end_descendants(spared: Collection[int] = ()) -> None:
    """Kill and reap all descendants of the calling process, which must adopt orphans.

    Args:
        spared: ids of children that are not killed. Their descendants are not killed either.
    """
    # Grandchildren become children when their parents end. The wait must not block: a dead child that is
    # traced by another child cannot be reaped before its tracer has ended.
    while children := [child for child in _children() if child not in spared]:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, os.WNOHANG)


def _children() -> list[int]:
    """Ids of the calling process's children, including those that have ended but are not reaped."""
    try:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:  # /proc is missing, of another pid namespace, or closed by Landlock
        return [number for number in range(_newest_process(), 0, -1) if _is_child(number)]
    return [int(child) for child in children.split()]


def _newest_process() -> int:
    """Id of the newest process, or an upper bound of all ids.

    After ids have wrapped around, an older child is not found. It ends with the sandbox.
    """
    try:
        newest = kernel.fork()
    except BlockingIOError:  # the limit of processes is reached
        return _MAX_PROCESS_ID
    if newest == 0:
        os._exit(0)
    os.waitpid(newest, 0)
    return newest


def _is_child(process: int) -> bool:
    try:
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def empty_directory(directory: str, spared: Collection[str] = ()) -> None:
    """Remove everything in a directory, at any depth and under any name, also write-protected entries.

    Subdirectories are moved to the top before they are removed, so that paths stay short and no recursion
    is needed.

    Args:
        directory: path of the directory.
        spared: names of entries that are kept.
    """
    os.chmod(directory, 0o700)  # noqa: PTH101
    # The lists are made anew, as names may have been moved to the top. Most directories are empty.
    while names := [name for name in os.listdir(directory) if name not in spared]:  # noqa: PTH208
        for entry in (f"{directory}/{name}" for name in names):
            if not is_directory(entry):
                os.unlink(entry)  # noqa: PTH108
                continue
            os.chmod(entry, 0o700)  # noqa: PTH101
            for inner in (f"{entry}/{name}" for name in os.listdir(entry)):  # noqa: PTH208
                if is_directory(inner):
                    os.chmod(inner, 0o700)  # noqa: PTH101
                os.rename(inner, f"{directory}/{os.urandom(16).hex()}")  # noqa: PTH104
            os.rmdir(entry)  # noqa: PTH106


def is_directory(path: str) -> bool:
    """Return whether there is a directory, and not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False

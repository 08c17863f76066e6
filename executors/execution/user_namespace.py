"""The user namespace: a place where this user can be somebody, and be worth nothing outside."""

import os
from pathlib import Path

from executors.execution import kernel
from executors.execution.filesystem import NOBODY


def enter() -> None:
    """Enter a user namespace in which the present user is nobody, or may become nobody if it is root.

    A helper that stays outside writes the maps, since only there root may map more than itself.

    Raises:
        OSError: the kernel refuses it; the process must end, since it may be half-way.
    """
    user, group = os.geteuid(), os.getegid()
    entered_read, entered_write = os.pipe()
    helper = os.fork()
    if helper == 0:
        outcome = 1
        try:
            os.close(entered_write)
            if os.read(entered_read, 1):
                _write_maps(os.getppid(), user, group)
                outcome = 0
        finally:
            os._exit(outcome)
    os.close(entered_read)
    try:
        kernel.unshare(kernel.CLONE_NEWUSER)
        os.write(entered_write, b"!")
    finally:
        os.close(entered_write)
        _, status = os.waitpid(helper, 0)
    if status != 0:
        raise PermissionError("the ids of the user namespace could not be mapped")


def _write_maps(process: int, user: int, group: int) -> None:
    directory = Path(f"/proc/{process}")
    if user == 0:
        try:
            for kind in ("uid_map", "gid_map"):
                (directory / kind).write_text(f"0 0 1\n{NOBODY} {NOBODY} 1\n")
            return
        except PermissionError:
            pass  # a container in which only root itself is mapped
    (directory / "setgroups").write_text("deny")
    (directory / "uid_map").write_text(f"{NOBODY} {user} 1\n")
    (directory / "gid_map").write_text(f"{NOBODY} {group} 1\n")

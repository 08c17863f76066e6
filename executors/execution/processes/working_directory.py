"""Working directory of the processes inside the sandbox, of which nothing survives the process that had it.

Every process begins in a new directory. All of them have the same path, so that results do not depend on
it. The directory above is as writable to a candidate as its own, since both belong to the same user, so it
is put into its first state again, too. Extended attributes are refused by seccomp, or removed without it.
"""

import contextlib
import os
from collections.abc import Sequence

from testbudget.executors.execution.sandbox import leftovers

_NAME, _NEXT = "work", "next"
_EPOCH = (0, 0)  # times of last access and change, in nanoseconds


class WorkingDirectory:
    """Directory that is made anew for each process, or for the processes of one test.

    Args:
        scratch: the only directory that processes may write to, which holds nothing else.
        layers: names of the isolation layers in force.

    Attributes:
        path: path of the current directory.

    Raises:
        ValueError: the scratch directory holds something, so it was not made for this. All of it would be
            removed.
    """

    def __init__(self, scratch: str, layers: Sequence[str]) -> None:
        if os.listdir(scratch):  # noqa: PTH208
            raise ValueError(f"a scratch directory must be empty but {scratch} is not")
        self.path = f"{scratch}/{_NAME}"
        self._scratch = scratch
        self._layers = layers
        self._aside: dict[str, int] = {}  # inodes of directories of stopped processes, by name
        self.renew()
        self._free = self._free_space()

    def renew(self) -> None:
        """Put a new directory in place of the current one."""
        for name in [*self._aside]:
            if not self._is_as_left(name):
                del self._aside[name]  # a process has changed it
        os.chmod(self._scratch, 0o700)  # noqa: PTH101 - called for every process
        spared = {*self._aside}
        if leftovers.is_directory(self.path):
            leftovers.empty_directory(self.path)
            spared.add(_NAME)
        leftovers.empty_directory(self._scratch, spared)
        os.mkdir(f"{self._scratch}/{_NEXT}", 0o700)  # noqa: PTH102
        os.rename(f"{self._scratch}/{_NEXT}", self.path)  # noqa: PTH104 - at no time there is none
        self._reset(self._scratch)

    def inode(self) -> int:
        """Inode number of the current directory."""
        return os.stat(self.path).st_ino  # noqa: PTH116

    def use_inodes(self, count: int) -> None:
        """Use up inode numbers, then put a new directory in place of the current one."""
        for _ in range(count):
            os.mkdir(f"{self._scratch}/{_NEXT}")  # noqa: PTH102
            os.rmdir(f"{self._scratch}/{_NEXT}")  # noqa: PTH106
        self.renew()

    def set_aside(self, name: str) -> None:
        """Set the current directory aside for a process that was stopped, and make a new one."""
        os.rename(self.path, f"{self._scratch}/{name}")  # noqa: PTH104
        self._aside[name] = os.stat(f"{self._scratch}/{name}").st_ino  # noqa: PTH116
        self.renew()

    def bring_back(self, name: str) -> bool:
        """Put a directory that was set aside in place again.

        Returns:
            False if another process has changed it.
        """
        if name not in self._aside or not self._is_as_left(name):
            return False
        del self._aside[name]
        os.rename(f"{self._scratch}/{name}", self.path)  # noqa: PTH104
        self._reset(self.path)
        self._reset(self._scratch)
        return True

    def forget(self, name: str) -> None:
        """Give a directory up that may have been set aside; it is removed with the current one."""
        self._aside.pop(name, None)

    def is_untouched(self) -> bool:
        """Return whether a process that was stopped keeps no file, also none that has no name any more."""
        if {*os.listdir(self._scratch)} != {_NAME, *self._aside} or os.listdir(self.path):  # noqa: PTH208
            return False
        blocks, files = self._free_space()
        return "mount" not in self._layers or (blocks, files + len(self._aside)) == self._free

    def _free_space(self) -> tuple[int, int]:
        """Number of free blocks and of free files; of the whole disk without a file system of its own."""
        found = os.statvfs(self._scratch)
        return found.f_bfree, found.f_ffree

    def _is_as_left(self, name: str) -> bool:
        """Return whether a directory that was set aside is the same, and empty."""
        place = f"{self._scratch}/{name}"
        try:
            inode = os.stat(place, follow_symlinks=False).st_ino  # noqa: PTH116
            return inode == self._aside[name] and not os.listdir(place)  # noqa: PTH208
        except OSError:
            return False

    def _reset(self, directory: str) -> None:
        """Reset the mode, the times and the extended attributes of a directory."""
        os.chmod(directory, 0o700)  # noqa: PTH101
        os.utime(directory, ns=_EPOCH)
        if "seccomp" not in self._layers:
            with contextlib.suppress(OSError):  # a file system without attributes
                for name in os.listxattr(directory):
                    os.removexattr(directory, name)

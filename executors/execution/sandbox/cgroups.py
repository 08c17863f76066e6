"""Control groups: the memory and the processes of one whole sandbox, counted and bounded together.

A group is a directory named by its owner, a process. Nobody else removes it while the owner lives; what a
killed owner has left behind goes when the next sandbox starts or is closed.

Follows the kernel's ``Documentation/admin-guide/cgroup-v2.rst`` and ``cgroup-v1/``.
"""

import contextlib
import errno
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "testbudget-"
_ATTEMPTS, _PAUSE_SECONDS = 1000, 0.01
_CONTROLLERS = ("memory", "pids")
_IDENTITY = re.compile(r"(\d+)-(\d+)-\d+")
_MEMORY_KILLS = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_EVENTS = ("memory.events", "memory.oom_control")  # the file that counts them, in version 2 and 1


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A group, held by descriptors, so that it can be used from other namespaces too.

    Attributes:
        name: of its directory, the same in every hierarchy.
        parents: descriptors of the directories that hold it.
        entrances: descriptors through which a process enters.
        events: descriptor of the file that counts what the kernel has killed for its memory.
    """

    name: str
    parents: tuple[int, ...]
    entrances: tuple[int, ...]
    events: int

    def enter(self) -> None:
        """Move the calling process into the group; what it forks is in it as well.

        It keeps no descriptor that leads to the group but the one for reading ``events``.

        Raises:
            OSError: the kernel refuses it.
        """
        try:
            for entrance in self.entrances:
                os.write(entrance, b"0")
        finally:
            for descriptor in (*self.entrances, *self.parents):
                os.close(descriptor)

    def memory_kills(self) -> int:
        """How many processes of the group the kernel has killed so far because its memory was used up."""
        found = _MEMORY_KILLS.search(os.pread(self.events, 4096, 0))
        return int(found[1]) if found else 0

    def remove(self) -> None:
        """Remove the group, once no process is left in it. For its owner.

        The kernel takes a moment to count out a process that has ended.
        """
        for parent in self.parents:
            for _ in range(_ATTEMPTS):
                try:
                    os.rmdir(self.name, dir_fd=parent)
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        break
                    time.sleep(_PAUSE_SECONDS)
                else:
                    break


def create_group(memory_bytes: int, processes: int) -> ControlGroup:
    """Make a group whose owner is the calling process.

    Version 2 is taken where it offers both controllers, below the present group or, since a group with
    processes of its own may have no such groups below, beside it; else the two hierarchies of version 1.

    Args:
        memory_bytes: of all its processes together, swap, shared memory and files in memory included.
        processes: processes and threads alive at once.

    Raises:
        OSError: there is no place where a group could be made; the reason is the last that was met.
    """
    reason: OSError = FileNotFoundError("no hierarchy has the memory and pids controllers")
    name = f"{_PREFIX}{_identity(os.getpid())}"
    for parents in _parents_here():
        try:
            return _create_in(parents, name, memory_bytes, processes)
        except OSError as error:
            reason = error
    raise reason


def remove_abandoned_groups() -> None:
    """Remove the groups whose owners are gone."""
    for parent in itertools.chain(*_parents_here()):
        for group in Path(parent).glob(f"{_PREFIX}*"):
            owner = _IDENTITY.fullmatch(group.name.removeprefix(_PREFIX))
            if owner and owner[1] == _pid_namespace() and owner[0] != _identity(int(owner[2])):
                with contextlib.suppress(OSError):  # not ours, or something is still ending in it
                    group.rmdir()


def parent_directories(mounts: str, membership: str) -> Iterator[tuple[str, ...]]:
    """Where a group can be tried to be made: one directory (version 2), or one for each controller.

    Args:
        mounts: the content of ``/proc/self/mountinfo``.
        membership: the content of ``/proc/self/cgroup``.
    """
    groups = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    found: dict[str, Path] = {}
    beside = None
    for line in mounts.splitlines():
        mount, _, file_system = line.partition(" - ")
        kind, _, options = file_system.split(" ", 2)
        root, mount_point = mount.split(" ")[3:5]
        names = {"cgroup2": [""], "cgroup": options.split(",")}.get(kind, ())
        for name in names:
            if name in groups and Path(groups[name]).is_relative_to(root):
                found[name] = Path(mount_point, Path(groups[name]).relative_to(root))
                if name == "" and found[name] != Path(mount_point):
                    beside = found[name].parent
    if "" in found:
        yield (str(found[""]),)
    if beside is not None:
        yield (str(beside),)
    if all(controller in found for controller in _CONTROLLERS):
        yield tuple(str(found[controller]) for controller in _CONTROLLERS)


def _parents_here() -> list[tuple[str, ...]]:
    own = Path("/proc/self")
    try:
        return list(parent_directories((own / "mountinfo").read_text(), (own / "cgroup").read_text()))
    except FileNotFoundError:  # a kernel without control groups
        return []


def _create_in(parents: Sequence[str], name: str, memory_bytes: int, processes: int) -> ControlGroup:
    directories = [Path(parent, name) for parent in parents]
    memory, others = directories[0], directories[-1]  # in version 2 one and the same
    if memory == others:
        _enable_controllers(memory.parent)
    with contextlib.ExitStack() as undoing:
        for directory in directories:
            directory.mkdir()
            undoing.callback(directory.rmdir)
        if memory == others:
            _set(memory / "memory.max", memory_bytes)
        else:
            _set(memory / "memory.limit_in_bytes", memory_bytes)
        for file, amount in (("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", memory_bytes)):
            with contextlib.suppress(FileNotFoundError):  # the kernel does not count swap
                _set(memory / file, amount)
        _set(others / "pids.max", processes)

        def opened(path: str | Path, flags: int) -> int:
            descriptor = os.open(path, flags)
            undoing.callback(os.close, descriptor)
            return descriptor

        group = ControlGroup(
            name,
            tuple(opened(parent, os.O_PATH) for parent in parents),
            tuple(opened(directory / "cgroup.procs", os.O_WRONLY) for directory in directories),
            opened(next(memory / file for file in _EVENTS if (memory / file).exists()), os.O_RDONLY),
        )
        undoing.pop_all()
    return group


def _enable_controllers(parent: Path) -> None:
    """Have the groups below a group of version 2 count and bound memory and processes."""
    control = parent / "cgroup.subtree_control"
    missing = set(_CONTROLLERS) - set(control.read_text().split())
    if missing:
        control.write_text(" ".join(f"+{controller}" for controller in sorted(missing)))


def _set(file: Path, amount: int) -> None:
    descriptor = os.open(file, os.O_WRONLY)  # a file that is not there must not be tried to be made
    try:
        os.write(descriptor, str(amount).encode())
    finally:
        os.close(descriptor)


def _identity(process: int) -> str | None:
    """What no other process is called, now or later: namespace, id, and start. None once it has ended."""
    try:
        status = Path(f"/proc/{process}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = status.rpartition(b")")[2].split()
    ended = fields[0] in {b"Z", b"X"}  # but nobody has asked after it yet
    return None if ended else f"{_pid_namespace()}-{process}-{fields[19].decode()}"


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)

"""Control groups: bounds on the memory and the processes of a whole sandbox, and a count of its CPU time.

The directory of a group is named after its owner, the process that created it. No other process removes it
while the owner is alive. The group of a killed owner is removed when another sandbox starts or is closed.

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
_CPU_CONTROLLER = "cpuacct"  # of version 1; version 2 always counts CPU time
_CPU_FILES = {"cpuacct.usage": 1e-9, "cpu.stat": 1e-6}  # name in version 1 and 2, unit in seconds
_MEMORY_FILES = {
    True: ("memory.max", "memory.current"),
    False: ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}  # limit and usage, by whether it is version 2
_IDENTITY = re.compile(r"(\d+)-(\d+)-\d+")


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """Open counter of the CPU time of all processes that are or were in a group, while the group exists.

    Attributes:
        descriptor: descriptor of the group's ``cpuacct.usage`` or ``cpu.stat``.
        unit: unit of the number in it, in seconds.
    """

    descriptor: int
    unit: float

    @classmethod
    def open(cls, group: Path) -> "CpuUsage | None":
        """Open the counter of a group; return None if its directory has none.

        Args:
            group: directory of the group.
        """
        for name, unit in _CPU_FILES.items():
            with contextlib.suppress(OSError):
                return cls(os.open(group / name, os.O_RDONLY), unit)
        return None

    def seconds(self) -> float:
        """CPU-seconds used so far.

        Raises:
            OSError: the group has been removed.
        """
        text = os.pread(self.descriptor, 64, 0).split(b"\n", 1)[0]
        return int(text.rpartition(b" ")[2]) * self.unit  # "N" or "usage_usec N"

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class GroupUsage:
    """Open counters of the memory and the processes in a group, readable from inside.

    Attributes:
        memory: descriptor of the group's ``memory.current`` or ``memory.usage_in_bytes``.
        pids: descriptor of its ``pids.current``.
    """

    memory: int
    pids: int

    def memory_bytes(self) -> int:
        """Memory in use, in bytes."""
        return int(os.pread(self.memory, 64, 0))

    def processes(self) -> int:
        """Number of processes and threads."""
        return int(os.pread(self.pids, 64, 0))


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A control group, held by file descriptors so that it can be used from other namespaces.

    Attributes:
        name: name of its directory, the same in each hierarchy.
        parents: descriptors of its parent directories, one per hierarchy.
        process_lists: descriptors of its ``cgroup.procs``, one per hierarchy.
        cpu_usage: counter of its CPU time; None if the kernel offers none.
        usage: counters of its memory and processes, which ``enter`` leaves open.
    """

    name: str
    parents: tuple[int, ...]
    process_lists: tuple[int, ...]
    cpu_usage: CpuUsage | None
    usage: GroupUsage

    def enter(self) -> None:
        """Move the calling process, and thereby its later descendants, into the group.

        All descriptors with which the group can be changed are closed, so that code inside cannot.

        Raises:
            OSError: the kernel refuses it.
        """
        try:
            for process_list in self.process_lists:
                os.write(process_list, b"0")
        finally:
            for descriptor in (*self.process_lists, *self.parents):
                os.close(descriptor)
            if self.cpu_usage is not None:
                self.cpu_usage.close()

    def remove(self) -> None:
        """Remove the group; called by its owner only, after all processes in the group have ended.

        The removal is repeated for up to ten seconds, because the kernel accounts for the end of a process
        with a delay.
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
    """Create a control group owned by the calling process.

    Version 2 is used if it offers both controllers. The new group is a child of the current group, or its
    sibling, because a group that contains processes may not have children with controllers. Otherwise the
    hierarchies of version 1 are used, that of CPU time if it can be.

    Args:
        memory_bytes: bound on the memory of all processes, including swap, shared memory and tmpfs files.
        processes: bound on the processes and threads alive at once.

    Raises:
        OSError: no hierarchy allows it. The error is that of the last attempt.
    """
    reason: OSError = FileNotFoundError("no hierarchy has the memory and pids controllers")
    name = f"{_PREFIX}{_identity(os.getpid())}"
    for parents in _parents_of_current_group():
        try:
            return _create_group_in(parents, name, memory_bytes, processes)
        except OSError as error:
            reason = error
    raise reason


def cpu_usage_of(owner: int) -> CpuUsage | None:
    """Open the counter of the group that a process has created; return None if there is none.

    Args:
        owner: id of the process.
    """
    name = f"{_PREFIX}{_identity(owner)}"
    for parent in itertools.chain(*_parents_of_current_group()):
        if (found := CpuUsage.open(Path(parent, name))) is not None:
            return found
    return None


def remove_abandoned_groups() -> None:
    """Remove the groups whose owners have ended."""
    for parent in itertools.chain(*_parents_of_current_group()):
        for group in Path(parent).glob(f"{_PREFIX}*"):
            owner = _IDENTITY.fullmatch(group.name.removeprefix(_PREFIX))
            if owner and owner[1] == _pid_namespace() and owner[0] != _identity(int(owner[2])):
                with contextlib.suppress(OSError):  # of another user, or not yet empty
                    group.rmdir()


def parent_directories(mounts: str, membership: str) -> Iterator[tuple[str, ...]]:
    """Yield the parent directories to try: one directory (version 2), or one per controller (version 1).

    The controllers of version 1 are memory, pids and, first with it and then without it, cpuacct.

    Args:
        mounts: content of ``/proc/self/mountinfo``.
        membership: content of ``/proc/self/cgroup``.
    """
    groups = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    found: dict[str, Path] = {}
    sibling_parent = None
    for line in mounts.splitlines():
        mount, _, file_system = line.partition(" - ")
        kind, _, options = file_system.split(" ", 2)
        root, mount_point = mount.split(" ")[3:5]
        names = {"cgroup2": [""], "cgroup": options.split(",")}.get(kind, ())
        for name in names:
            if name in groups and Path(groups[name]).is_relative_to(root):
                found[name] = Path(mount_point, Path(groups[name]).relative_to(root))
                if name == "" and found[name] != Path(mount_point):
                    sibling_parent = found[name].parent
    if "" in found:
        yield (str(found[""]),)
    if sibling_parent is not None:
        yield (str(sibling_parent),)
    if all(controller in found for controller in _CONTROLLERS):
        bounding = tuple(str(found[controller]) for controller in _CONTROLLERS)
        if (counting := found.get(_CPU_CONTROLLER)) is not None:
            yield (*bounding, str(counting))
        yield bounding


def _parents_of_current_group() -> list[tuple[str, ...]]:
    own = Path("/proc/self")
    try:
        return list(parent_directories((own / "mountinfo").read_text(), (own / "cgroup").read_text()))
    except FileNotFoundError:  # a kernel without control groups
        return []


def _create_group_in(parents: Sequence[str], name: str, memory_bytes: int, processes: int) -> ControlGroup:
    directories = [Path(parent, name) for parent in parents]
    memory, pids = (directories * 2)[:2]  # the same directory in version 2
    if memory == pids:
        _enable_controllers(memory.parent)
    with contextlib.ExitStack() as undo:
        for directory in directories:
            directory.mkdir()
            undo.callback(directory.rmdir)
        limit, current = _MEMORY_FILES[memory == pids]
        _set(memory / limit, memory_bytes)
        for file, amount in (("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", memory_bytes)):
            with contextlib.suppress(FileNotFoundError):  # the kernel does not count swap
                _set(memory / file, amount)
        _set(pids / "pids.max", processes)

        def opened(path: str | Path, flags: int) -> int:
            descriptor = os.open(path, flags)
            undo.callback(os.close, descriptor)
            return descriptor

        group = ControlGroup(
            name,
            tuple(opened(parent, os.O_PATH) for parent in parents),
            tuple(opened(directory / "cgroup.procs", os.O_WRONLY) for directory in directories),
            CpuUsage.open(directories[-1]),
            GroupUsage(opened(memory / current, os.O_RDONLY), opened(pids / "pids.current", os.O_RDONLY)),
        )
        undo.pop_all()
    return group


def _enable_controllers(parent: Path) -> None:
    """Enable the memory and pids controllers for the children of a version 2 group."""
    control = parent / "cgroup.subtree_control"
    missing = set(_CONTROLLERS) - set(control.read_text().split())
    if missing:
        control.write_text(" ".join(f"+{controller}" for controller in sorted(missing)))


def _set(file: Path, amount: int) -> None:
    descriptor = os.open(file, os.O_WRONLY)  # must not create a missing file
    try:
        os.write(descriptor, str(amount).encode())
    finally:
        os.close(descriptor)


def _identity(process: int) -> str | None:
    """Unique name of a process: pid namespace, id and start time; None if it has ended."""
    try:
        status = Path(f"/proc/{process}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = status.rpartition(b")")[2].split()
    ended = fields[0] in {b"Z", b"X"}  # ended but not reaped
    return None if ended else f"{_pid_namespace()}-{process}-{fields[19].decode()}"


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)

"""The layers between code under test and everything else: each taken where the kernel allows it, and told.

They are entered in three steps: ``isolate_outer`` in the guard's process, outside; ``isolate_inner`` in the first
process inside, the zygote; ``isolate_candidate`` in every process that meets untrusted text. Landlock and
seccomp hold the same line without any of the namespaces. docs/isolation.md says where they can be had.
"""

import contextlib
import json
import mmap
import os
import resource
import signal
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits
from testbudget.executors.execution.sandbox import cgroups, filesystem, kernel, seccomp

_OPEN_FILES = 256
_STACK_BYTES = 64 << 20
_PROGRAM_STACK_BYTES = 4 << 20  # that of each thread too, which all count as its memory
_ROOM_MIB = 128  # for what the zygote and the shared memory take, beside the candidate and its files
_OWN_PROCESSES = 3  # guard, zygote and nursery
_GREATEST_ADDRESS_SPACE_MIB = 1 << 18  # far from what the sandbox takes, and there on every 64-bit kernel
_GREATEST_PROCESS = 1 << 22  # no process has a greater number, whatever the kernel's settings


@dataclass(frozen=True, slots=True)
class OuterIsolation:
    """What the outer half of the isolation has reached; the inner half builds on it.

    Attributes:
        layers: names of the namespaces entered.
        refusals: why a layer is missing, by its name; ``isolate_inner`` adds to it.
        scratch: the private directory, as seen from inside.
        import_paths: directories from which the packages can be imported inside.
        readable: files and directories that code inside may read.
        executable: programs that code inside may run, and their loaders.
        group: the control group of all processes inside, if one could be made.
    """

    layers: tuple[str, ...]
    refusals: dict[str, str]
    scratch: str
    import_paths: tuple[str, ...]
    readable: tuple[str, ...]
    executable: tuple[str, ...] = ()
    group: cgroups.ControlGroup | None = None


def isolate_outer(
    packages: Sequence[str], limits: TestLimits, programs: Sequence[str] = ()
) -> OuterIsolation:
    """Enter the namespaces and build the file system. The next process forked is the first one inside.

    Each step is tried in a process of its own first, so that a refusal half-way leaves nothing behind.

    Args:
        packages: directories of the packages that code inside may import.
        limits: memory and processes of the whole sandbox, and the size of the private directory.
        programs: absolute paths of the executables that code inside may run; found at the same paths there.

    Raises:
        OSError: a program is not there.
    """
    executable = (*programs, *filter(None, map(filesystem.elf_loader, programs)))
    refusals: dict[str, str] = {}
    group = None
    cgroups.remove_abandoned_groups()
    try:
        memory_mib = limits.memory_mib + limits.file_mib + _ROOM_MIB
        group = cgroups.create_group(memory_mib << 20, limits.max_threads + _OWN_PROCESSES)
    except OSError as error:
        refusals["cgroup"] = _reason(error)
    steps: dict[str, Callable[[], None]] = {
        "user": kernel.enter_user_namespace,
        "mount": lambda: filesystem.enter_new_root(packages, programs, limits.file_mib),
        "net": lambda: kernel.unshare(kernel.CLONE_NEWNET),
        "ipc": lambda: kernel.unshare(kernel.CLONE_NEWIPC),
        "pid": lambda: kernel.unshare(kernel.CLONE_NEWPID),
    }
    entered = []
    for name, step in steps.items():
        refusal = _rehearsed(step)
        if refusal is None:
            step()
            entered.append(name)
        else:
            refusals[name] = refusal
    if "mount" in entered:
        scratch = filesystem.scratch_inside()
        import_paths: tuple[str, ...] = (filesystem.PACKAGES_INSIDE,)
        readable: tuple[str, ...] = ("/",)
    else:
        scratch = tempfile.mkdtemp(prefix="testbudget-")
        if os.geteuid() == 0 and filesystem.readable_by_all(filesystem.standard_library()):
            os.chown(scratch, kernel.NOBODY, kernel.NOBODY)
        import_paths = tuple(dict.fromkeys(str(Path(package).parent) for package in packages))
        readable = (*filesystem.readable_libraries(), *packages, *programs)
    return OuterIsolation(tuple(entered), refusals, scratch, import_paths, readable, executable, group)


def isolate_inner(outer: OuterIsolation, limits: TestLimits) -> tuple[str, ...]:
    """Give up, in the first process inside, all that code under test must not have.

    Returns:
        The names of all layers in force, in the order of ``ISOLATION_LAYERS``.
    """
    inside = set(outer.layers)
    if outer.group is not None:
        with _told(outer.refusals, "cgroup"):
            outer.group.enter()
            inside.add("cgroup")
    with _told(outer.refusals, "unprivileged"):
        _drop_privileges(in_new_root="mount" in inside)
        inside.add("unprivileged")
    kernel.die_with_parent(signal.SIGKILL)
    kernel.adopt_orphans()
    kernel.forbid_inspection()
    kernel.forbid_new_privileges()
    inside.add("no_new_privs")

    _cap(resource.RLIMIT_CORE, 0)
    _cap(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _cap(resource.RLIMIT_STACK, _STACK_BYTES)
    _cap(resource.RLIMIT_FSIZE, limits.file_mib << 20)
    _cap(resource.RLIMIT_MSGQUEUE, 0)
    if "user" in inside:  # elsewhere the user's other processes would be counted as well
        _cap(resource.RLIMIT_NPROC, limits.max_threads + _OWN_PROCESSES)
    inside.add("rlimits")

    with _told(outer.refusals, "landlock"):
        filesystem.restrict_files(
            readable=outer.readable,
            listable=outer.import_paths,
            writable=(outer.scratch, *filesystem.DEVICES),
            executable=outer.executable,
        )
        inside.add("landlock")
    with _told(outer.refusals, "seccomp"):
        seccomp.restrict_sandbox(may_execute=bool(outer.executable), private_files="mount" in inside)
        inside.add("seccomp")
    return tuple(layer for layer in ISOLATION_LAYERS if layer in inside)


def isolate_candidate(
    layers: Sequence[str], limits: TestLimits, cpu_seconds: int, programs: Sequence[str] = ()
) -> None:
    """Add, in a candidate's own process, what would have been in the zygote's way.

    Args:
        layers: the layers in force.
        limits: memory that the process may add to what it was forked with.
        cpu_seconds: CPU time after which the kernel ends the process, whatever it does.
        programs: what ``isolate_outer`` was given. A process that is to become one of them keeps its address
            space unlimited, since other languages' engines reserve much more than they use: for it the
            limit of memory is one of writable private memory.
    """
    if "pid" not in layers:
        kernel.die_with_parent(signal.SIGKILL)
    if programs:
        _cap(resource.RLIMIT_STACK, _PROGRAM_STACK_BYTES)
        _cap(resource.RLIMIT_DATA, limits.memory_mib << 20)
    else:
        # What it was forked with grows with the modules that earlier blocks needed: a verdict must not.
        _cap(resource.RLIMIT_AS, _address_space_mib() + limits.memory_mib << 20)
    _cap(resource.RLIMIT_CPU, cpu_seconds)
    if "seccomp" in layers:
        seccomp.restrict_candidate(os.getpid(), private_files="mount" in layers)
    else:
        os.setsid()  # a signal to its group then reaches nobody else
        # CPU time is counted by process, so there must be no second one, even at the price of threads;
        # but other languages' engines do not start without threads.
        if not programs:
            _cap(resource.RLIMIT_NPROC, 0)


def missing_layer_reasons(limits: TestLimits) -> dict[str, str]:
    """Why layers are missing on this machine, by their names: all are tried, in processes that end at once.

    Raises:
        OSError: no process can be isolated here at all.
    """
    reading, writing = os.pipe()
    guard = os.fork()
    if guard == 0:
        status = 1
        try:
            outer = isolate_outer((), limits)
            first_inside = os.fork()
            if first_inside == 0:
                isolate_inner(outer, limits)
                os.write(writing, json.dumps(outer.refusals).encode())
                status = 0
            else:
                _, status = os.waitpid(first_inside, 0)
                clean_up(outer)
        finally:
            os._exit(1 if status else 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(guard, 0)
    if status:
        raise OSError("the layers cannot be entered")
    found: dict[str, str] = json.loads(told)
    return found


def clean_up(outer: OuterIsolation) -> None:
    """Remove, from outside, what a sandbox leaves behind once all its processes have ended."""
    if outer.group is not None:
        outer.group.remove()
    if "mount" not in outer.layers:
        empty_directory(outer.scratch)
        Path(outer.scratch).rmdir()


def end_descendants(spared: Collection[int] = ()) -> None:
    """Kill and reap every process below the calling one, which must adopt orphans.

    Args:
        spared: processes that live on, if they are below, with all that is below them.
    """
    # Children of children become children as their parents end. Nothing here blocks: a dead child that one
    # of them traces is not given back before its tracer has ended too.
    while children := [child for child in _children() if child not in spared]:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, os.WNOHANG)


def _children() -> list[int]:
    """The calling process's children, those that have ended and are not reaped included."""
    try:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:  # no /proc in the new root, or that of another pid namespace, or Landlock is before it
        return [number for number in range(_newest_process(), 0, -1) if _is_child(number)]
    return [int(child) for child in children.split()]


def _newest_process() -> int:
    """The number of the process that was started last, or one that none exceeds.

    Where numbers have begun anew, a child from before that is not found; it ends with the sandbox.
    """
    try:
        newest = kernel.fork()
    except BlockingIOError:  # there are already as many as may be
        return _GREATEST_PROCESS
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


def empty_directory(directory: str) -> None:
    """Remove everything in a directory, however deep, oddly named or write-protected by its owner.

    Directories below are moved up next to each other before they are removed, so that no path grows long
    and no recursion deep.
    """
    os.chmod(directory, 0o700)  # noqa: PTH101
    while names := os.listdir(directory):  # noqa: PTH208 - called for every test, mostly finds nothing
        for entry in map(Path(directory).joinpath, names):
            if not _is_directory(entry):
                entry.unlink()
                continue
            entry.chmod(0o700)
            for inner in entry.iterdir():
                if _is_directory(inner):
                    inner.chmod(0o700)
                inner.rename(Path(directory, os.urandom(16).hex()))
            entry.rmdir()


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _rehearsed(step: Callable[[], None]) -> str | None:
    """Why a step fails, found out in a process of its own; None if it succeeds."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            step()
            os._exit(0)
        except OSError as error:
            os.write(writing, _reason(error).encode())
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        reason = pipe.read()
    _, status = os.waitpid(process, 0)
    return None if status == 0 else reason or f"ended with status {status}"


def _reason(error: OSError) -> str:
    return f"refused by the kernel: {error.strerror}" if error.errno else str(error)


@contextlib.contextmanager
def _told(refusals: dict[str, str], layer: str) -> Iterator[None]:
    """Go on without a layer that the kernel refuses, and keep the reason."""
    try:
        yield
    except OSError as error:
        refusals[layer] = _reason(error)


def _drop_privileges(*, in_new_root: bool) -> None:
    """Be nobody, without capabilities; where root has to remain root, without them, raise OSError."""
    refusal = None
    if os.geteuid() == 0:
        if in_new_root or filesystem.readable_by_all(filesystem.standard_library()):
            try:
                _become_nobody()
            except OSError as error:
                refusal = error
        else:
            refusal = PermissionError("only root can read the interpreter's libraries")
    kernel.drop_capabilities()
    if refusal is not None:
        raise refusal


def _become_nobody() -> None:
    with contextlib.suppress(PermissionError):  # namespaces exist in which nobody may change groups
        os.setgroups([])
    os.setresgid(kernel.NOBODY, kernel.NOBODY, kernel.NOBODY)
    os.setresuid(kernel.NOBODY, kernel.NOBODY, kernel.NOBODY)


def _address_space_mib() -> int:
    """Size of this process's address space, found by trial, since /proc is not there to be read."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most_mib = _GREATEST_ADDRESS_SPACE_MIB if hard == resource.RLIM_INFINITY else hard >> 20
    resource.setrlimit(resource.RLIMIT_AS, (most_mib << 20, hard))
    fits_mib, too_much_mib = 0, most_mib
    while too_much_mib - fits_mib > 1:
        tried_mib = (fits_mib + too_much_mib) // 2
        try:
            mmap.mmap(-1, tried_mib << 20, mmap.MAP_PRIVATE, 0).close()
        except OSError:
            too_much_mib = tried_mib
        else:
            fits_mib = tried_mib
    return most_mib - fits_mib


def _cap(kind: int, value: int) -> None:
    """Set both the soft and the hard limit, or what is already less."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))

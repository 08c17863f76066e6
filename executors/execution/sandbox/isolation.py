"""Isolation layers between untrusted code and the machine: files, network, other processes, resources.

Each layer is entered if the kernel allows it, and the layers in force are reported. If namespaces are
refused, Landlock and seccomp protect files, network and other processes. The layers are entered in three
parts: ``isolate_outer`` in the guard, ``isolate_inner`` in the server process, ``isolate_candidate`` in
every process that runs untrusted code. docs/isolation.md describes what each layer needs.
"""

import contextlib
import json
import math
import os
import resource
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits
from testbudget.executors.execution.sandbox import cgroups, filesystem, kernel, seccomp

_OPEN_FILES = 256
_STACK_BYTES = 64 << 20
_PROGRAM_STACK_BYTES = 4 << 20  # also of each thread, and all of them count as memory
_SERVER_MIB = 192  # memory of the server process, the fork servers and the result buffers
_OWN_PROCESSES = 20  # guard, server process, fork servers, and processes that wait or are stopped
STOPPED_MIB = 256
"""Memory of the sandbox in use up to which a stopped process may stay in it."""

_MAX_PROCESS_ID = 1 << 22  # largest id under any kernel setting


@dataclass(frozen=True, slots=True)
class OuterIsolation:
    """Result of ``isolate_outer`` and input of ``isolate_inner``.

    Attributes:
        layers: names of the namespaces entered.
        refusals: the reason for each missing layer, by its name; ``isolate_inner`` adds to it.
        scratch: path of the scratch directory inside.
        import_paths: directories from which the packages are imported inside.
        readable: files and directories that code inside may read.
        executable: programs that code inside may execute, and their loaders.
        group: control group of all processes inside; None if it was refused.
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
    """Enter the namespaces and mount the file system. The next process forked is the server process.

    Each step is first tried in a process of its own, so that a refused step has no effect.

    Args:
        packages: directories of the packages that code inside may import.
        limits: limits of one test, for the bounds of the control group and of the scratch directory.
        programs: absolute paths, outside and inside, of the executables that code inside may execute.

    Raises:
        OSError: a program does not exist.
    """
    executable = (*programs, *filter(None, map(filesystem.elf_loader, programs)))
    refusals: dict[str, str] = {}
    group = None
    cgroups.remove_abandoned_groups()
    try:
        # A test and a candidate can have a process each.
        memory_mib = 2 * limits.memory_mib + limits.file_mib + STOPPED_MIB + _SERVER_MIB
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
        refusal = _try_step(step)
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
    """Drop all rights that untrusted code must not have; called in the server process.

    Args:
        outer: result of ``isolate_outer``.
        limits: limits of one test.

    Returns:
        The names of all layers in force, in the order of ``ISOLATION_LAYERS``.
    """
    inside = set(outer.layers)
    if outer.group is not None:
        with _optional(outer.refusals, "cgroup"):
            outer.group.enter()
            inside.add("cgroup")
    with _optional(outer.refusals, "unprivileged"):
        _drop_privileges(in_new_root="mount" in inside)
        inside.add("unprivileged")
    kernel.die_with_parent(signal.SIGKILL)
    kernel.adopt_orphans()
    kernel.forbid_inspection()
    kernel.forbid_new_privileges()
    inside.add("no_new_privs")

    _lower_limit(resource.RLIMIT_CORE, 0)
    _lower_limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _lower_limit(resource.RLIMIT_STACK, _STACK_BYTES)
    _lower_limit(resource.RLIMIT_MSGQUEUE, 0)
    if "user" in inside:  # otherwise it would count the user's other processes
        _lower_limit(resource.RLIMIT_NPROC, limits.max_threads + _OWN_PROCESSES)
    inside.add("rlimits")

    with _optional(outer.refusals, "landlock"):
        filesystem.restrict_files(
            readable=outer.readable,
            listable=outer.import_paths,
            writable=(outer.scratch, *filesystem.DEVICES),
            executable=outer.executable,
        )
        inside.add("landlock")
    with _optional(outer.refusals, "seccomp"):
        seccomp.restrict_sandbox(may_execute=bool(outer.executable), private_files="mount" in inside)
        inside.add("seccomp")
    return tuple(layer for layer in ISOLATION_LAYERS if layer in inside)


def isolate_candidate(
    layers: Sequence[str], limits: TestLimits, space_bytes: int, programs: Sequence[str] = ()
) -> None:
    """Confine a process that runs untrusted code further than the server process.

    Args:
        layers: the layers in force.
        limits: limits of one test. The process may allocate their memory in addition to what it was forked
            with.
        space_bytes: size of the address space with which it begins, from `kernel.address_space_bytes`.
        programs: as for ``isolate_outer``. If there are any, the memory limit applies to writable private
            memory instead of address space, because engines such as V8 reserve much more than they use.
    """
    if "pid" not in layers:
        kernel.die_with_parent(signal.SIGKILL)
    _lower_limit(resource.RLIMIT_FSIZE, limits.file_mib << 20)
    if programs:
        _lower_limit(resource.RLIMIT_STACK, _PROGRAM_STACK_BYTES)
        _lower_limit(resource.RLIMIT_DATA, limits.memory_mib << 20)
    else:
        # A fork server grows with the modules of earlier blocks; verdicts must not depend on that.
        _lower_limit(resource.RLIMIT_AS, space_bytes + (limits.memory_mib << 20))
    if "seccomp" in layers:
        seccomp.restrict_candidate(os.getpid(), private_files="mount" in layers)
    else:
        os.setsid()  # a signal to its process group reaches no other process
        # CPU time is counted by process, so a second process is refused, although this refuses threads too.
        # Engines of other languages do not start without threads.
        if not programs:
            _lower_limit(resource.RLIMIT_NPROC, 0)


def limit_work(
    layers: Sequence[str], limits: TestLimits, cpu_seconds: int, processes: int, *, stays: bool = False
) -> None:
    """Set the limits of the work that the calling process, which is confined, is about to do.

    Args:
        layers: the layers in force.
        limits: limits of one test.
        cpu_seconds: CPU-seconds at which the kernel ends the process.
        processes: number of processes inside the sandbox.
        stays: True if further work may follow, with limits of its own. Code in the process can then raise
            its limits, so it must not run a candidate.
    """
    if stays:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + cpu_seconds, hard))
    else:
        _lower_limit(resource.RLIMIT_CPU, cpu_seconds)
    if "user" in layers:  # otherwise it would count the user's other processes
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        allowed = min(limits.max_threads + processes - 1, most)
        resource.setrlimit(resource.RLIMIT_NPROC, (allowed, most if stays else allowed))


def missing_layer_reasons(limits: TestLimits) -> dict[str, str]:
    """Try all isolation layers and return the reason for each one that this machine refuses, by name.

    Raises:
        OSError: no process can be isolated on this machine.
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
        answer = pipe.read()
    _, status = os.waitpid(guard, 0)
    if status:
        raise OSError("the layers cannot be entered")
    found: dict[str, str] = json.loads(answer)
    return found


def clean_up(outer: OuterIsolation) -> None:
    """Remove the control group and the scratch directory after all processes inside have ended."""
    if outer.group is not None:
        outer.group.remove()
    if "mount" not in outer.layers:
        empty_directory(outer.scratch)
        Path(outer.scratch).rmdir()


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


def _try_step(step: Callable[[], None]) -> str | None:
    """Try a step in a process of its own; return the reason for a failure, None if it succeeds."""
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
def _optional(refusals: dict[str, str], layer: str) -> Iterator[None]:
    """Continue without a layer that the kernel refuses, and record the reason."""
    try:
        yield
    except OSError as error:
        refusals[layer] = _reason(error)


def _drop_privileges(*, in_new_root: bool) -> None:
    """Become nobody and drop all capabilities; if root must remain root, drop them and raise OSError."""
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
    with contextlib.suppress(PermissionError):  # some user namespaces forbid setgroups
        os.setgroups([])
    os.setresgid(kernel.NOBODY, kernel.NOBODY, kernel.NOBODY)
    os.setresuid(kernel.NOBODY, kernel.NOBODY, kernel.NOBODY)


def _lower_limit(kind: int, value: int) -> None:
    """Lower the soft and the hard limit to a value; a lower limit is kept."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))

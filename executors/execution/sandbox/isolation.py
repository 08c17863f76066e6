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
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits
from testbudget.executors.execution.sandbox import cgroups, filesystem, kernel, leftovers, seccomp
from testbudget.executors.execution.sandbox.toolchain import (
    COMPILER_FILE_MIB,
    COMPILER_MIB,
    COMPILER_THREADS,
    NO_TOOLCHAIN,
    Toolchain,
)

_OPEN_FILES = 256
_STACK_BYTES = 64 << 20
_SERVER_MIB = 192  # memory of the server process, the fork servers and the result buffers
_LINKS = "-packages"  # ends the name of the directory with links to packages
_OWN_PROCESSES = 24  # guard, server process, fork servers, and processes that wait or are stopped
STOPPED_MIB = 256
"""Memory of the sandbox in use up to which a stopped process may stay in it."""


ResourceLimit = tuple[int, tuple[int, int]]
"""Kind of a resource, and its soft and hard limit."""


@dataclass(frozen=True, slots=True)
class OuterIsolation:
    """Result of ``isolate_outer`` and input of ``isolate_inner``.

    Attributes:
        layers: names of the namespaces entered.
        refusals: the reason for each missing layer, by its name; ``isolate_inner`` adds to it.
        scratch: path of the scratch directory inside.
        packages: directory from which the packages are imported inside.
        readable: files and directories that code inside may read.
        executable: programs and compilers that code inside may execute, and their loaders.
        toolchain: compilers and run-time of the language.
        group: control group of all processes inside; None if it was refused.
    """

    layers: tuple[str, ...]
    refusals: dict[str, str]
    scratch: str
    packages: str
    readable: tuple[str, ...]
    executable: tuple[str, ...] = ()
    toolchain: Toolchain = NO_TOOLCHAIN
    group: cgroups.ControlGroup | None = None


def isolate_outer(
    packages: Mapping[str, str],
    limits: TestLimits,
    programs: Sequence[str] = (),
    toolchain: Toolchain = NO_TOOLCHAIN,
    packages_mib: int = 0,
) -> OuterIsolation:
    """Enter the namespaces and mount the file system. The next process forked is the server process.

    Each step is first tried in a process of its own, so that a refused step has no effect.

    Args:
        packages: files and directories of the packages that code inside may import, by their path below the
            directory that they are imported from.
        limits: limits of one test, for the bounds of the control group and of the scratch directory.
        programs: absolute paths, outside and inside, of the executables that code inside may execute.
        toolchain: compilers and run-time of the language.
        packages_mib: memory that modules of the packages take once they are loaded, in MiB.

    Raises:
        OSError: a program does not exist.
    """
    files = (*programs, *(path for path in toolchain.compilers if not Path(path).is_dir()))
    executable = (*programs, *toolchain.compilers, *filter(None, map(filesystem.elf_loader, files)))
    visible = (*programs, *toolchain.compilers, *toolchain.files)
    threads, file_mib = most_threads(limits, toolchain), limits.file_mib
    refusals: dict[str, str] = {}
    group = None
    cgroups.remove_abandoned_groups()
    try:
        # A test and a candidate can have a process each.
        memory_mib = 2 * (limits.memory_mib + toolchain.memory_mib)
        if toolchain.compilers:
            memory_mib = max(memory_mib, 2 * COMPILER_MIB)
            file_mib = max(file_mib, COMPILER_FILE_MIB)
        memory_mib += file_mib + STOPPED_MIB + _SERVER_MIB + packages_mib
        group = cgroups.create_group(memory_mib << 20, threads + _OWN_PROCESSES)
    except OSError as error:
        refusals["cgroup"] = _reason(error)
    steps: dict[str, Callable[[], None]] = {
        "user": kernel.enter_user_namespace,
        "mount": lambda: filesystem.enter_new_root(packages, visible, file_mib),
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
        import_directory = filesystem.PACKAGES_INSIDE
        readable: tuple[str, ...] = ("/",)
    else:
        scratch = tempfile.mkdtemp(prefix="testbudget-")
        if os.geteuid() == 0 and filesystem.readable_by_all(filesystem.standard_library()):
            os.chown(scratch, kernel.NOBODY, kernel.NOBODY)
        import_directory = f"{scratch}{_LINKS}"
        filesystem.link_packages(import_directory, packages)
        readable = (*filesystem.readable_libraries(), import_directory, *packages.values(), *visible)
    return OuterIsolation(
        tuple(entered), refusals, scratch, import_directory, readable, executable, toolchain, group
    )


def most_threads(limits: TestLimits, toolchain: Toolchain) -> int:
    """Largest number of threads and processes that a program or a compiler may have."""
    return max(limits.max_threads + toolchain.threads, COMPILER_THREADS if toolchain.compilers else 0)


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
        _lower_limit(resource.RLIMIT_NPROC, most_threads(limits, outer.toolchain) + _OWN_PROCESSES)
    inside.add("rlimits")

    with _optional(outer.refusals, "landlock"):
        filesystem.restrict_files(
            readable=(*outer.readable, *filesystem.DEVICES),
            listable=(outer.packages,),
            writable=(outer.scratch, *filesystem.WRITABLE_DEVICES),
            executable=outer.executable,
        )
        inside.add("landlock")
    with _optional(outer.refusals, "seccomp"):
        seccomp.restrict_sandbox(
            may_execute=bool(outer.executable),
            may_execute_memory=outer.toolchain.native,
            private_files="mount" in inside,
        )
        inside.add("seccomp")
    return tuple(layer for layer in ISOLATION_LAYERS if layer in inside)


def candidate_limits(
    layers: Sequence[str],
    limits: TestLimits,
    space_bytes: int,
    programs: Sequence[str] = (),
    toolchain: Toolchain = NO_TOOLCHAIN,
) -> Sequence[ResourceLimit]:
    """Limits of a process that runs untrusted code, whatever its work is.

    Args:
        layers: the layers in force.
        limits: limits of one test. The process may allocate their memory in addition to what it was forked
            with.
        space_bytes: size of the address space with which it begins, from `kernel.address_space_bytes`.
        programs: as for ``isolate_outer``. If there are any, the memory limit applies to writable private
            memory instead of address space, because engines such as V8 reserve much more than they use.
        toolchain: run-time of the language; the same holds for native programs.
    """
    found = {resource.RLIMIT_FSIZE: limits.file_mib << 20}
    executes = bool(programs) or toolchain.native
    if executes:
        found[resource.RLIMIT_STACK] = toolchain.stack_mib << 20
        found[resource.RLIMIT_DATA] = (limits.memory_mib + toolchain.memory_mib) << 20
    else:
        # A fork server grows with the modules of earlier blocks; verdicts must not depend on that.
        found[resource.RLIMIT_AS] = space_bytes + (limits.memory_mib << 20)
        if "seccomp" not in layers:
            # CPU time is counted by process, so a second process is refused, although this refuses threads
            # too. Engines of other languages do not start without threads.
            found[resource.RLIMIT_NPROC] = 0
    return [(kind, _lowered(kind, value)) for kind, value in found.items()]


def isolate_candidate(layers: Sequence[str], limits: Sequence[ResourceLimit]) -> None:
    """Confine a process that runs untrusted code further than the server process.

    Args:
        layers: the layers in force.
        limits: limits by ``candidate_limits``.
    """
    if "pid" not in layers:
        kernel.die_with_parent(signal.SIGKILL)
    for kind, values in limits:
        resource.setrlimit(kind, values)
    if "seccomp" in layers:
        counts_shared_memory = any(kind == resource.RLIMIT_AS for kind, _ in limits)
        seccomp.restrict_candidate(
            os.getpid(), private_files="mount" in layers, may_share_memory=counts_shared_memory
        )
    else:
        os.setsid()  # a signal to its process group reaches no other process


def isolate_compiler(layers: Sequence[str]) -> None:
    """Confine a process that starts compilers, which read untrusted code.

    It differs from ``isolate_candidate`` in that it may start other processes. All of them are in a process
    group of their own, by which they are ended.

    Args:
        layers: the layers in force.
    """
    if "pid" not in layers:
        kernel.die_with_parent(signal.SIGKILL)
    os.setpgid(0, 0)
    _lower_limit(resource.RLIMIT_FSIZE, COMPILER_FILE_MIB << 20)
    _lower_limit(resource.RLIMIT_DATA, COMPILER_MIB << 20)
    if "seccomp" in layers:
        seccomp.restrict_candidate(os.getpid(), private_files="mount" in layers, may_fork=True)


def limit_work(
    process: int, layers: Sequence[str], threads: int, cpu_seconds: int, *, stays: bool = False
) -> None:
    """Set the limits of the work that a process, which waits for it, is about to do.

    Args:
        process: id of the process. One that has ended is ignored.
        layers: the layers in force.
        threads: threads and processes of the whole sandbox that may exist.
        cpu_seconds: CPU-seconds at which the kernel ends the process.
        stays: True if further work may follow, with limits of its own. Code in the process can then raise
            its limits, so it must not run a candidate.
    """
    with contextlib.suppress(ProcessLookupError):
        used = math.ceil(kernel.process_cpu_seconds(process)) if stays else 0
        limits = [(resource.RLIMIT_CPU, used + cpu_seconds)]
        if "user" in layers:  # otherwise it would count the user's other processes
            limits.append((resource.RLIMIT_NPROC, threads))
        for kind, value in limits:
            _, hard = resource.prlimit(process, kind)
            soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.prlimit(process, kind, (soft, hard if stays else soft))


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
            outer = isolate_outer({}, limits)
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
        for directory in (outer.scratch, outer.packages):
            leftovers.empty_directory(directory)
            Path(directory).rmdir()


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
    resource.setrlimit(kind, _lowered(kind, value))


def _lowered(kind: int, value: int) -> tuple[int, int]:
    """Soft and hard limit with a value, or with this process's hard limit if that is lower."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    return value, value

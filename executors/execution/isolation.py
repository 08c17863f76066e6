"""The layers between code under test and everything else: each taken where the kernel allows it, and told.

The strongest set, from outside in:

- ``user``, ``pid``, ``mount``, ``net``, ``ipc``: namespaces. Inside there is no other process to see, no
  network, and a file system that holds the interpreter's libraries, the named packages and nothing else,
  read-only, but for one small private directory that vanishes with the sandbox.
- ``unprivileged``: not root, not even inside, and without capabilities.
- ``no_new_privs``, ``landlock``, ``seccomp``: no way back, no file beyond that view, no dangerous system
  call; they hold the same line without any of the namespaces.
- ``rlimits``: CPU time, memory, file size, descriptors, threads; no core dumps.

The harness keeps its verdicts in the process that runs the code; what that means for a verdict is said in
``zygote``.
"""

import contextlib
import os
import resource
import signal
import struct
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from executors.execution import kernel, landlock, seccomp
from executors.execution.limits import Limits

LAYERS = (
    "user",
    "pid",
    "mount",
    "net",
    "ipc",
    "unprivileged",
    "no_new_privs",
    "landlock",
    "seccomp",
    "rlimits",
)

_NOBODY = 65534
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_FOREIGN_PACKAGES = ("site-packages", "dist-packages")
_PACKAGES_INSIDE = "/packages"
_SCRATCH_FILES = 4096
_OPEN_FILES = 256
_STACK_BYTES = 64 << 20
_PROGRAM_STACK_BYTES = 4 << 20  # that of each thread too, which all count as its memory

_ELF_HEADER = struct.Struct("<32xQ14xHH")  # where the table of segments is, size and number of its entries
_ELF_SEGMENT = struct.Struct("<I4xQ16xQ")  # kind, offset and size in the file
_ELF_INTERPRETER = 3


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the outer half of the isolation has reached; the inner half builds on it.

    Attributes:
        layers: names of the namespaces entered.
        scratch: the private directory, as seen from inside.
        import_paths: directories from which the packages can be imported inside.
        readable: files and directories that code inside may read.
        programs: executables that code inside may run, for a language that is no Python.
    """

    layers: tuple[str, ...]
    scratch: str
    import_paths: tuple[str, ...]
    readable: tuple[str, ...]
    programs: tuple[str, ...] = ()


def surround(packages: Sequence[str], limits: Limits, programs: Sequence[str] = ()) -> Surroundings:
    """Enter the namespaces and build the file system. The next process forked is the first one inside.

    Each step is tried in a process of its own first, so that a refusal half-way leaves nothing behind.

    Args:
        packages: directories of the packages that code inside may import.
        limits: the size of the private directory.
        programs: absolute paths of the executables that code inside may run; found at the same paths there.
    """
    steps: dict[str, Callable[[], None]] = {
        "user": _enter_user_namespace,
        "mount": lambda: _enter_new_root(packages, programs, limits.file_mib),
        "net": lambda: kernel.unshare(kernel.CLONE_NEWNET),
        "ipc": lambda: kernel.unshare(kernel.CLONE_NEWIPC),
        "pid": lambda: kernel.unshare(kernel.CLONE_NEWPID),
    }
    entered = []
    for name, step in steps.items():
        if _rehearsed(step):
            step()
            entered.append(name)
    if "mount" in entered:
        return Surroundings(tuple(entered), _scratch_inside(), (_PACKAGES_INSIDE,), ("/",), tuple(programs))
    scratch = tempfile.mkdtemp(prefix="testbudget-")
    if os.geteuid() == 0 and _readable_by_all(_standard_library()):
        os.chown(scratch, _NOBODY, _NOBODY)
    parents = tuple(dict.fromkeys(str(Path(package).parent) for package in packages))
    own_libraries = [path for directory in _library_directories() for path in _own_entries(directory)]
    readable = (*_SYSTEM_LIBRARIES, *own_libraries, *packages, *programs, "/proc/self/task")
    return Surroundings(tuple(entered), scratch, parents, readable, tuple(programs))


def confine(surroundings: Surroundings, limits: Limits) -> tuple[str, ...]:
    """Give up, in the first process inside, all that code under test must not have.

    Returns:
        The names of all layers in force, in the order of ``LAYERS``.
    """
    inside = set(surroundings.layers)
    in_new_root = "mount" in inside
    if os.geteuid() == 0 and (in_new_root or _readable_by_all(_standard_library())):
        _become_nobody()
    kernel.drop_capabilities()
    if os.geteuid() != 0:
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
        _cap(resource.RLIMIT_NPROC, limits.processes + 2)  # the zygote and its guard
    inside.add("rlimits")

    with contextlib.suppress(OSError):
        listable = surroundings.import_paths
        loaders = filter(None, map(_loader, surroundings.programs))
        executable = (*surroundings.programs, *loaders)
        landlock.restrict(surroundings.readable, listable, (surroundings.scratch, *_DEVICES), executable)
        inside.add("landlock")
    if seccomp.supported():
        with contextlib.suppress(OSError):
            seccomp.restrict_sandbox(may_execute=bool(surroundings.programs))
            inside.add("seccomp")
    return tuple(layer for layer in LAYERS if layer in inside)


def confine_candidate(
    layers: Sequence[str], limits: Limits, cpu_seconds: int, programs: Sequence[str] = ()
) -> None:
    """Add, in a candidate's own process, what would have been in the zygote's way.

    Args:
        layers: the layers in force.
        limits: memory of the process.
        cpu_seconds: CPU time after which the kernel ends the process, whatever it does.
        programs: what ``surround`` was given. A process that is to become one of them keeps its address
            space unlimited, since other languages' engines reserve much more than they use: for it the
            limit of memory is one of writable private memory.
    """
    if "pid" not in layers:
        kernel.die_with_parent(signal.SIGKILL)
    if programs:
        _cap(resource.RLIMIT_STACK, _PROGRAM_STACK_BYTES)
        _cap(resource.RLIMIT_DATA, limits.memory_mib << 20)
    else:
        _cap(resource.RLIMIT_AS, limits.memory_mib << 20)
    _cap(resource.RLIMIT_CPU, cpu_seconds)
    if "seccomp" in layers:
        seccomp.restrict_candidate(os.getpid())
    else:
        os.setsid()  # a signal to its group then reaches nobody else
        # CPU time is counted by process, so there must be no second one, even at the price of threads;
        # but other languages' engines do not start without threads.
        if not programs:
            _cap(resource.RLIMIT_NPROC, 0)


def end_descendants() -> None:
    """Kill and reap every process below the calling one.

    For the first process of a pid namespace, that is every other one in the namespace.
    """
    while True:
        for process in _descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _descendants() -> list[int]:
    """What to signal; children of children become visible here as their parents end."""
    if os.getpid() == 1:
        return [-1]  # to the first process of a pid namespace: all others in it
    try:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except FileNotFoundError:
        return []  # no /proc in the new root; what runs there dies with its parent
    return [int(child) for child in children.split()]


def empty(directory: str) -> None:
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


def _rehearsed(step: Callable[[], None]) -> bool:
    """Whether a step succeeds in a process of its own."""
    process = os.fork()
    if process == 0:
        outcome = 1
        try:
            step()
            outcome = 0
        finally:
            os._exit(outcome)
    return os.waitpid(process, 0)[1] == 0


def _become_nobody() -> None:
    with contextlib.suppress(PermissionError):  # a root that may not change its user; reported as missing
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _enter_user_namespace() -> None:
    """Enter a user namespace in which the present user is nobody, or may become nobody if it is root.

    A helper that stays outside writes the maps, since only there root may map more than itself.
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
                (directory / kind).write_text(f"0 0 1\n{_NOBODY} {_NOBODY} 1\n")
            return
        except PermissionError:
            pass  # a container in which only root itself is mapped
    (directory / "setgroups").write_text("deny")
    (directory / "uid_map").write_text(f"{_NOBODY} {user} 1\n")
    (directory / "gid_map").write_text(f"{_NOBODY} {group} 1\n")


def _enter_new_root(packages: Sequence[str], programs: Sequence[str], disk_mib: int) -> None:
    """Enter a mount namespace whose root holds libraries, the packages, the programs and a scratch."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    wanted = {path: path for path in (*_SYSTEM_LIBRARIES, *_DEVICES, *_library_directories(), *programs)}
    wanted |= {package: f"{_PACKAGES_INSIDE}/{Path(package).name}" for package in packages}
    copies = {
        target: (kernel.detached_copy(source), Path(source).is_dir())
        for source, target in sorted(wanted.items(), key=lambda item: len(item[1]))
        if Path(source).exists()
    }
    root = tempfile.gettempdir()
    guarded = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", root, "tmpfs", guarded, "mode=0755,size=1m")
    for target, (copy, is_directory) in copies.items():
        _make_mount_point(Path(root + target), is_directory)
        kernel.attach(copy, root + target)
    for directory in _library_directories():
        for name in _FOREIGN_PACKAGES:
            hidden = f"{root}{directory}/{name}"
            if Path(hidden).is_dir():
                kernel.mount("tmpfs", hidden, "tmpfs", guarded | kernel.MS_RDONLY, "mode=0755,size=4k")
    scratch = root + _scratch_inside()
    Path(scratch).mkdir()
    options = f"mode=0700,size={disk_mib}m,nr_inodes={_SCRATCH_FILES}"
    kernel.mount("tmpfs", scratch, "tmpfs", guarded | kernel.MS_NOEXEC, options)
    if os.geteuid() == 0:
        os.chown(scratch, _NOBODY, _NOBODY)
    kernel.change_root(root)
    kernel.mount("none", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | guarded)


def _loader(program: str) -> str | None:
    """The dynamic loader that a 64-bit little-endian ELF executable names, which is executed with it."""
    with Path(program).open("rb") as file:
        header = file.read(_ELF_HEADER.size)
        if not header.startswith(b"\x7fELF\x02\x01"):
            return None
        table, entry_size, entries = _ELF_HEADER.unpack(header)
        for index in range(entries):
            file.seek(table + index * entry_size)
            kind, offset, size = _ELF_SEGMENT.unpack(file.read(_ELF_SEGMENT.size))
            if kind == _ELF_INTERPRETER:
                file.seek(offset)
                return file.read(size).rstrip(b"\0").decode()
    return None


def _scratch_inside() -> str:
    """Where the private directory is in the new root: as usual, unless that hid libraries."""
    hides = any(Path(library).is_relative_to("/tmp") for library in _library_directories())
    return "/scratch" if hides else "/tmp"


def _make_mount_point(path: Path, is_directory: bool) -> None:
    if path.exists():
        return
    (path if is_directory else path.parent).mkdir(parents=True, exist_ok=True)
    if not is_directory:
        path.touch()


def _standard_library() -> str:
    return sysconfig.get_path("stdlib")


def _library_directories() -> list[str]:
    """The interpreter's own library directories: the standard library and what its extensions link to."""
    libraries = (_standard_library(), sysconfig.get_path("platstdlib"))
    return list(
        dict.fromkeys(path for library in libraries for path in (str(Path(library).parent), library))
    )


def _own_entries(directory: str) -> list[str]:
    """What is in a library directory, but for foreign packages and for library directories below."""
    skipped = {*_FOREIGN_PACKAGES, *(Path(library).name for library in _library_directories())}
    return [str(entry) for entry in Path(directory).iterdir() if entry.name not in skipped]


def _readable_by_all(directory: str) -> bool:
    """Whether another user can get at a directory, also through all that it lies in."""
    path = Path(directory)
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


def _cap(kind: int, value: int) -> None:
    """Set both the soft and the hard limit, or what is already less."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))

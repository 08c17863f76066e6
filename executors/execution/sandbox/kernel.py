"""Linux system calls that the standard library lacks. Each raises OSError if the kernel refuses it."""

import ctypes
import functools
import mmap
import os
import resource
import signal
import time
from pathlib import Path

NOBODY = 65534
"""Id of the user and of the group ``nobody``."""

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_LAST_CAPABILITY = 63

# These numbers are the same on every architecture.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2

_CLOCK_PROCESS_CPUTIME_ID = 2
_MAX_ADDRESS_SPACE = 1 << 38  # bytes; available on every 64-bit kernel, and more than the sandbox needs

_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE_PARENT, _CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID = 0x8000, 0x200000, 0x1000000
_THREAD_WORDS = 512  # 32-bit words at the start of the C library's record of a thread

_libc = ctypes.CDLL(None, use_errno=True)
_interpreter = ctypes.PyDLL(None, use_errno=True)  # holds the GIL during a call
_libc.syscall.restype = _interpreter.syscall.restype = ctypes.c_long
_libc.pthread_self.restype = ctypes.c_void_p


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def process_cpu_seconds(process: int) -> float:
    """CPU-seconds of another process, read from its CPU clock."""
    return time.clock_gettime((~process << 3) | _CLOCK_PROCESS_CPUTIME_ID)


def children(process: int) -> list[int]:
    """Ids of the children of another process, those of all its threads.

    Raises:
        OSError: the process has ended, or the kernel does not list children.
    """
    threads = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _prctl(option: int, *arguments: object) -> int:
    padded = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in (*arguments, 0, 0, 0, 0)[:4]]
    return int(_libc.prctl(ctypes.c_int(option), *padded))


def system_call(number: int, *arguments: object) -> int:
    """Make a system call by number and return its result.

    Integers are passed as C longs, other arguments as ctypes converts them.
    """
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *converted))


def unshare(flags: int) -> None:
    """Move the calling process into new namespaces."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system or change a mount; see mount(2)."""
    _checked(
        _libc.mount(
            source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
        )
    )


def detached_copy(path: str) -> int:
    """Copy the mounts at and below a path, read-only and not attached; return a descriptor."""
    tree = system_call(
        _OPEN_TREE, _AT_FDCWD, path.encode(), _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    )
    attributes = _MountAttributes(attr_set=_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID)
    system_call(
        _MOUNT_SETATTR,
        tree,
        b"",
        _AT_EMPTY_PATH | _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    return tree


def attach(tree: int, target: str) -> None:
    """Attach a copy from ``detached_copy`` at a path, and close its descriptor."""
    system_call(_MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)


def change_root(directory: str) -> None:
    """Make a mount point the root of the calling process's mount namespace, and detach the old root."""
    os.chdir(directory)
    _checked(_libc.pivot_root(b".", b"."))
    _checked(_libc.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def die_with_parent(signal_number: int) -> None:
    """Request a signal for the death of the parent; a change of user cancels the request."""
    _checked(_prctl(_PR_SET_PDEATHSIG, signal_number))


def adopt_orphans() -> None:
    """Become the parent of descendants whose parents end."""
    _checked(_prctl(_PR_SET_CHILD_SUBREAPER, 1))


def forbid_inspection() -> None:
    """Forbid core dumps, and access to this process's memory by other processes of the same user."""
    _checked(_prctl(_PR_SET_DUMPABLE, 0))


def forbid_new_privileges() -> None:
    """Forbid that executing a program adds privileges (``no_new_privs``)."""
    _checked(_prctl(_PR_SET_NO_NEW_PRIVS, 1))


def drop_capabilities() -> None:
    """Drop every capability permanently."""
    for capability in range(_LAST_CAPABILITY + 1):
        _prctl(_PR_CAPBSET_DROP, capability)  # fails without CAP_SETPCAP
    header = _CapabilityHeader(version=0x20080522, pid=0)
    _checked(_libc.capset(ctypes.byref(header), (ctypes.c_uint32 * 6)()))


class SeccompFilter:
    """A seccomp filter in memory, ready to be installed by a single call.

    A forked process must copy each page that it writes, so the arguments of the call are prepared as well.

    Args:
        program: encoded BPF instructions of eight bytes each.

    Attributes:
        program: the same instructions in a buffer, which may be changed until ``install``.
    """

    def __init__(self, program: bytes) -> None:
        self.program = ctypes.create_string_buffer(program, len(program))
        wrapped = _FilterProgram(len(program) // 8, ctypes.addressof(self.program))
        arguments = (_SECCOMP_MODE_FILTER, ctypes.addressof(wrapped), 0, 0)
        self._wrapped = wrapped  # its address is used
        self._install = functools.partial(
            _interpreter.prctl, ctypes.c_int(_PR_SET_SECCOMP), *map(ctypes.c_ulong, arguments)
        )

    def install(self) -> None:
        """Apply the filter to the calling process and its descendants."""
        _checked(self._install())


def fork() -> int:
    """Fork the calling process, which must have a single thread; return the child's id, 0 in the child.

    ``os.fork`` also resets the state of other threads in the child. This would cost more than the fork,
    because the child must copy the memory that it writes.
    """
    return _checked(_interpreter.fork())


def fork_sibling() -> int:
    """Fork the calling process as ``fork`` does, but make the new process a child of its parent.

    Only the parent can wait for it. The calling process must not be the first one of a PID namespace.
    """
    flags = _CLONE_PARENT | signal.SIGCHLD
    if place := _thread_id_place(os.getpid()):
        flags |= _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
    # x86-64 expects the place of the thread id in front of the unused thread storage, ARM behind it.
    arguments = (_CLONE[os.uname().machine], flags, 0, 0, place, place)
    return _checked(_interpreter.syscall(*map(ctypes.c_long, arguments)))


@functools.lru_cache(maxsize=1)
def _thread_id_place(process: int) -> int:
    """Address at which the C library keeps the id of the calling thread, the only one of its process.

    The function ``raise`` and some locks read it there. 0 if there is no single such place.
    """
    start = _libc.pthread_self()
    words = (ctypes.c_int32 * _THREAD_WORDS).from_address(start)
    places = [start + 4 * number for number, word in enumerate(words) if word == process]
    return places[0] if len(places) == 1 else 0


def tidy_memory() -> None:
    """Let the C library sort its free memory, which the first allocation of a forked process would do.

    It would visit all free parts, and copy the pages that they are on.
    """
    trim = getattr(_libc, "malloc_trim", None)  # not in every C library
    if trim is not None:
        trim(0)


def address_space_bytes() -> int:
    """Size of this process's address space, found by bisection of the limit, since /proc may be missing."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = (_MAX_ADDRESS_SPACE if hard == resource.RLIM_INFINITY else hard) // mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (pages * mmap.PAGESIZE, hard))
    fits, too_large = 0, pages
    while too_large - fits > 1:
        tried = (fits + too_large) // 2
        try:
            mmap.mmap(-1, tried * mmap.PAGESIZE, mmap.MAP_PRIVATE, 0).close()
        except OSError:
            too_large = tried
        else:
            fits = tried
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    return (pages - fits) * mmap.PAGESIZE


def enter_user_namespace() -> None:
    """Enter a user namespace in which the current user is nobody; root can become nobody in it.

    A child process that stays outside writes the maps, because only there can root map two users.

    Raises:
        OSError: the kernel refuses it. The process must end, because it may be in the new namespace.
    """
    user, group = os.geteuid(), os.getegid()
    entered_read, entered_write = os.pipe()
    map_writer = os.fork()
    if map_writer == 0:
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
        unshare(CLONE_NEWUSER)
        os.write(entered_write, b"!")
    finally:
        os.close(entered_write)
        _, status = os.waitpid(map_writer, 0)
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
            pass  # a container that maps root alone
    (directory / "setgroups").write_text("deny")
    (directory / "uid_map").write_text(f"{NOBODY} {user} 1\n")
    (directory / "gid_map").write_text(f"{NOBODY} {group} 1\n")

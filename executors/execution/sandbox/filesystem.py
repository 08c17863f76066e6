"""File system inside the sandbox: read-only libraries, packages and programs, and one scratch directory.

Two layers guarantee it independently. ``enter_new_root`` (layer ``mount``) mounts a root without other
files. ``restrict_files`` (layer ``landlock``) forbids access to other files, TCP, and signals to the
outside, and needs no privilege. docs/isolation.md names the kernels that allow them. Landlock follows the
kernel's ``Documentation/userspace-api/landlock.rst`` and ``linux/landlock.h``.
"""

import ctypes
import os
import stat
import struct
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbudget.executors.execution.sandbox import kernel
from testbudget.executors.execution.sandbox.kernel import NOBODY

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
"""Device files inside the sandbox."""

WRITABLE_DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")
"""Device files that may be opened for writing. A mapping of ``/dev/zero`` would be shared memory."""

PACKAGES_INSIDE = "/packages"
"""Directory inside the sandbox that holds the packages."""

_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
_INSTALLED_PACKAGES = ("site-packages", "dist-packages")
_SCRATCH_FILES = 4096

_ELF_HEADER = struct.Struct("<32xQ14xHH")  # offset of the segment table, size and number of its entries
_ELF_SEGMENT = struct.Struct("<I4xQ16xQ")  # kind, offset and size in the file
_ELF_INTERPRETER = 3

_WRITE_FILE, _READ_FILE, _READ_DIRECTORY = 1 << 1, 1 << 2, 1 << 3
_MAKE_CHARACTER_DEVICE, _MAKE_BLOCK_DEVICE = 1 << 6, 1 << 11
_EXECUTE, _TRUNCATE, _DEVICE_CONTROL = 1 << 0, 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_CONTROL
_NEVER = _EXECUTE | _MAKE_CHARACTER_DEVICE | _MAKE_BLOCK_DEVICE

_VERSION_FLAG = 1
_PATH_BENEATH = 1
_FILE_RIGHTS_OF_VERSION = {2: 14, 3: 15, 4: 15}  # since version 5: 16
_BIND_AND_CONNECT = 0b11  # since version 4
_SOCKETS_AND_SIGNALS = 0b11  # since version 6


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def restrict_files(
    *,
    readable: Sequence[str],
    listable: Sequence[str],
    writable: Sequence[str],
    executable: Sequence[str],
) -> None:
    """Enter Landlock: the calling process and its descendants may access only these files.

    TCP (Landlock version 4) and signals to processes outside (version 6) are refused as well.

    Args:
        readable: files and directories that may be read. Paths that do not exist are skipped.
        listable: directories that may be listed.
        writable: directories in which all but device files may be created, and device files to write to.
        executable: files that may be executed, and directories that hold them. No other file may be
            executed.

    Raises:
        OSError: the kernel has no Landlock, or version 1, which forbids moving files between directories.
    """
    version = kernel.system_call(kernel.LANDLOCK_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if version < 2:
        raise OSError(f"Landlock must be of version 2 or later but is {version}")
    handled = (1 << _FILE_RIGHTS_OF_VERSION.get(version, 16)) - 1
    attributes = _Ruleset(
        handled_access_fs=handled,
        handled_access_net=_BIND_AND_CONNECT if version >= 4 else 0,
        scoped=_SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    size = 8 if version < 4 else 16 if version < 6 else ctypes.sizeof(attributes)
    ruleset = kernel.system_call(kernel.LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIRECTORY)
        for path in listable:
            _allow(ruleset, path, _READ_DIRECTORY)
        for path in writable:
            _allow(ruleset, path, handled & ~_NEVER)
        for path in executable:
            _allow(ruleset, path, _EXECUTE | _READ_FILE | _READ_DIRECTORY)
        kernel.system_call(kernel.LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= _ON_FILES
        rule = _PathBeneath(allowed_access=access, parent_fd=descriptor)
        kernel.system_call(kernel.LANDLOCK_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)


def enter_new_root(packages: Mapping[str, str], visible: Sequence[str], disk_mib: int) -> None:
    """Enter a mount namespace whose root holds libraries, packages, programs and a scratch directory.

    Args:
        packages: files and directories by their path below ``PACKAGES_INSIDE``, where they are mounted.
        visible: executables, other files and directories, mounted at the same paths.
        disk_mib: size of the scratch directory, the only writable one, in MiB.

    Raises:
        OSError: the kernel refuses a step. The process must end, because earlier steps are in effect.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    sources = {path: path for path in (*_SYSTEM_LIBRARIES, *DEVICES, *_library_directories(), *visible)}
    sources |= {f"{PACKAGES_INSIDE}/{inside}": outside for inside, outside in packages.items()}
    copies = {
        target: (kernel.detached_copy(source), Path(source).is_dir())
        for target, source in sorted(sources.items(), key=lambda item: len(item[0]))
        if Path(source).exists()
    }
    root = tempfile.gettempdir()
    restricted = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", root, "tmpfs", restricted, "mode=0755,size=1m")
    for target, (copy, is_directory) in copies.items():
        _make_mount_point(Path(root + target), is_directory)
        kernel.attach(copy, root + target)
    for directory in _library_directories():
        for name in _INSTALLED_PACKAGES:
            hidden = f"{root}{directory}/{name}"
            if Path(hidden).is_dir():
                kernel.mount("tmpfs", hidden, "tmpfs", restricted | kernel.MS_RDONLY, "mode=0755,size=4k")
    scratch = root + scratch_inside()
    Path(scratch).mkdir()
    options = f"mode=0700,size={disk_mib}m,nr_inodes={_SCRATCH_FILES}"
    kernel.mount("tmpfs", scratch, "tmpfs", restricted | kernel.MS_NOEXEC, options)
    if os.geteuid() == 0:
        os.chown(scratch, NOBODY, NOBODY)
    kernel.change_root(root)
    kernel.mount("none", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | restricted)


def link_packages(directory: str, packages: Mapping[str, str]) -> None:
    """Fill a new directory, which all may read, with links to packages, where none can be mounted.

    Args:
        directory: path of the directory.
        packages: files and directories outside by their path below the directory.
    """
    Path(directory).mkdir(mode=0o755)
    for inside, outside in packages.items():
        link = Path(directory, inside)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside)


def scratch_inside() -> str:
    """Path of the scratch directory in the new root: ``/tmp``, unless this would hide libraries."""
    hides = any(Path(library).is_relative_to("/tmp") for library in _library_directories())
    return "/scratch" if hides else "/tmp"


def standard_library() -> str:
    """Directory of the interpreter's standard library."""
    return sysconfig.get_path("stdlib")


def _library_directories() -> list[str]:
    """Directories of the interpreter's standard library and of its extensions."""
    libraries = (standard_library(), sysconfig.get_path("platstdlib"))
    return list(
        dict.fromkeys(path for library in libraries for path in (str(Path(library).parent), library))
    )


def readable_libraries() -> list[str]:
    """Libraries of the system and of the interpreter, without installed packages."""
    directories = _library_directories()
    skipped = {*_INSTALLED_PACKAGES, *(Path(directory).name for directory in directories)}
    entries = (entry for directory in directories for entry in Path(directory).iterdir())
    return [*_SYSTEM_LIBRARIES, *(str(entry) for entry in entries if entry.name not in skipped)]


def readable_by_all(directory: str) -> bool:
    """True if every user may enter a directory and all its parents."""
    path = Path(directory)
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


def elf_loader(program: str) -> str | None:
    """Path of the dynamic loader of a 64-bit little-endian ELF executable; None if it names none."""
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


def _make_mount_point(path: Path, is_directory: bool) -> None:
    if path.exists():
        return
    (path if is_directory else path.parent).mkdir(parents=True, exist_ok=True)
    if not is_directory:
        path.touch()

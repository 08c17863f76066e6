"""What code in the sandbox sees of the file system: libraries, packages, programs, one place to write."""

import os
import struct
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from executors.execution import kernel

_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
PACKAGES_INSIDE = "/packages"
NOBODY = 65534

_FOREIGN_PACKAGES = ("site-packages", "dist-packages")
_SCRATCH_FILES = 4096

_ELF_HEADER = struct.Struct("<32xQ14xHH")  # where the table of segments is, size and number of its entries
_ELF_SEGMENT = struct.Struct("<I4xQ16xQ")  # kind, offset and size in the file
_ELF_INTERPRETER = 3


def enter_new_root(packages: Sequence[str], programs: Sequence[str], disk_mib: int) -> None:
    """Enter a mount namespace whose root holds libraries, the packages, the programs and a scratch.

    Args:
        packages: directories, found in ``PACKAGES_INSIDE`` there.
        programs: executables, found where they are outside.
        disk_mib: size of the private directory, which is the only writable place.

    Raises:
        OSError: the kernel refuses a step; the process must end, since it may be half-way.
    """
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    wanted = {path: path for path in (*_SYSTEM_LIBRARIES, *DEVICES, *library_directories(), *programs)}
    wanted |= {package: f"{PACKAGES_INSIDE}/{Path(package).name}" for package in packages}
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
    for directory in library_directories():
        for name in _FOREIGN_PACKAGES:
            hidden = f"{root}{directory}/{name}"
            if Path(hidden).is_dir():
                kernel.mount("tmpfs", hidden, "tmpfs", guarded | kernel.MS_RDONLY, "mode=0755,size=4k")
    scratch = root + scratch_inside()
    Path(scratch).mkdir()
    options = f"mode=0700,size={disk_mib}m,nr_inodes={_SCRATCH_FILES}"
    kernel.mount("tmpfs", scratch, "tmpfs", guarded | kernel.MS_NOEXEC, options)
    if os.geteuid() == 0:
        os.chown(scratch, NOBODY, NOBODY)
    kernel.change_root(root)
    kernel.mount("none", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | guarded)


def scratch_inside() -> str:
    """Where the private directory is in the new root: as usual, unless that hid libraries."""
    hides = any(Path(library).is_relative_to("/tmp") for library in library_directories())
    return "/scratch" if hides else "/tmp"


def standard_library() -> str:
    """The directory of the interpreter's standard library."""
    return sysconfig.get_path("stdlib")


def library_directories() -> list[str]:
    """The interpreter's own library directories: the standard library and what its extensions link to."""
    libraries = (standard_library(), sysconfig.get_path("platstdlib"))
    return list(
        dict.fromkeys(path for library in libraries for path in (str(Path(library).parent), library))
    )


def readable_libraries() -> list[str]:
    """The libraries of the system and of the interpreter, without foreign packages."""
    directories = library_directories()
    skipped = {*_FOREIGN_PACKAGES, *(Path(directory).name for directory in directories)}
    entries = (entry for directory in directories for entry in Path(directory).iterdir())
    return [*_SYSTEM_LIBRARIES, *(str(entry) for entry in entries if entry.name not in skipped)]


def readable_by_all(directory: str) -> bool:
    """Whether another user can get at a directory, also through all that it lies in."""
    path = Path(directory)
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


def loader(program: str) -> str | None:
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


def _make_mount_point(path: Path, is_directory: bool) -> None:
    if path.exists():
        return
    (path if is_directory else path.parent).mkdir(parents=True, exist_ok=True)
    if not is_directory:
        path.touch()

"""Landlock: which files code in the sandbox may touch, enforced without any privilege.

Follows the kernel's ``Documentation/userspace-api/landlock.rst`` and ``linux/landlock.h``.
"""

import ctypes
import os
import stat
from collections.abc import Sequence

from executors.execution import kernel

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


def restrict(
    *,
    readable: Sequence[str],
    listable: Sequence[str],
    writable: Sequence[str],
    executable: Sequence[str],
) -> None:
    """Confine the calling process and all it forks to some files, with no TCP and no signals outwards.

    Args:
        readable: files and directories that may be read; those that do not exist are passed over.
        listable: directories whose entries' names may be read as well.
        writable: directories in which anything but devices and programs may be made, and device files.
        executable: files that may be executed; nothing else may.

    Raises:
        OSError: this kernel has no Landlock, or one too old to move files between directories.
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
            _allow(ruleset, path, _EXECUTE | _READ_FILE)
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

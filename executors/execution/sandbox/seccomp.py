"""System calls refused inside the sandbox, as two stacked seccomp filters in BPF.

The first filter applies to the server process and its descendants. It refuses access to other processes,
namespaces, the network and the kernel's configuration, memory that the limits do not count, and extended
attributes, which could outlive the process that sets them. The second filter is added in each process that
runs untrusted code. It refuses a second process and signals to other processes. It also refuses changes to
the owners, modes and times of files, unless all visible files are private or read-only. The process of a
compiler may start others, which stay in its process group.
docs/isolation.md describes the layer.

Each filter is a binary search tree over call numbers, because every system call passes both filters, and
the second is installed once per candidate process.
"""

import errno
import fcntl
import functools
import itertools
import mmap
import os
import socket
import struct
import termios
from collections.abc import Sequence

from testbudget.executors.execution.sandbox import kernel

# name: (number on x86-64, number on 64-bit ARM); None where the call does not exist
_ALWAYS_DENIED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsconfig": (431, 431),
    "fsetxattr": (190, 7),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "io_setup": (206, 0),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "memfd_secret": (447, 447),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "settimeofday": (164, 170),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sync": (162, 81),
    "syncfs": (306, 267),
    "syslog": (103, 116),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_EXECVE, _EXECVEAT = (59, 221), (322, 281)
_SOCKETPAIR = (53, 199)

_CANDIDATE_DENIED = {
    "fork": (57, None),
    "memfd_create": (319, 279),
    "pidfd_open": (434, 434),
    "vfork": (58, None),
    "vmsplice": (278, 75),  # a pipe keeps memory that no limit counts
}
_COMPILER_DENIED = {
    "memfd_create": (319, 279),
    "pidfd_open": (434, 434),
    "setpgid": (109, 154),  # all processes of a compiler are ended by their group
    "setsid": (112, 157),
}
_CLOSE, _CLOSE_RANGE = (3, 57), (436, 436)
_DUP2, _DUP3 = (33, None), (292, 24)
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_FCNTL = (72, 25)
_IOCTL = (16, 29)
_MMAP = (9, 222)
_SETSOCKOPT = (54, 208)
_OWN_PROCESS_ONLY = {
    "kill": (62, 129),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "tgkill": (234, 131),
}
_OWN_PROCESS_OR_ZERO = {
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
}

# Not covered by Landlock: these change files that the process can name, even if it may not open them.
_FILES_DENIED = {
    "chown": (92, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "futimesat": (261, None),
    "lchown": (94, None),
    "truncate": (76, 45),
    "utime": (132, None),
    "utimes": (235, None),
}
_MODE_CHANGES = {"chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452)}
_OPEN, _OPENAT, _OPENAT2 = (2, None), (257, 56), (437, 437)
_UTIMENSAT = (280, 88)

_MACHINES = {
    "x86_64": (0, 0xC000003E),
    "aarch64": (1, 0xC00000B7),
}  # column above, audit architecture

KEPT_DESCRIPTOR = 255
"""Number of a file descriptor that a process which runs untrusted code cannot close."""

_CLONE_THREAD = 0x00010000
_NO_PLAIN_CHILD = 0x7E028000  # CLONE_NEWNS to CLONE_NEWNET, CLONE_NEWCGROUP, CLONE_PARENT
_SOCKET_TYPE_MASK = 0xF
_SHARED_MEMORY = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS  # of MAP_SHARED_VALIDATE, too; not of MAP_PRIVATE
_F_SETOWN_EX = 15
_COMMANDS_DENIED = (fcntl.F_SETOWN, fcntl.F_SETSIG, _F_SETOWN_EX, fcntl.F_SETLEASE)
_CONTROLS_ALLOWED = (termios.FIOCLEX, termios.FIONCLEX, termios.FIONBIO, termios.FIONREAD)
_TRUNCATE_WITHOUT_WRITE = (os.O_TRUNC | os.O_RDONLY, os.O_TRUNC | os.O_ACCMODE)
_X32_CALLS = 0x40000000

_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_IF_EQUAL, _IF_AT_LEAST = 0x15, 0x35
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE, _UNKNOWN, _NO_SUCH_CONTROL = _FAIL | errno.EPERM, _FAIL | errno.ENOSYS, _FAIL | errno.ENOTTY
_NO_MEMORY = _FAIL | errno.ENOMEM
_PRETEND = _FAIL | 0  # reports success without effect

_LEAF_SIZE = 4  # numbers that are compared in sequence
_OWN_ID = 0xFEDCBA98  # placeholder for the process id; no other constant has this value

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant
_Numbers = tuple[int | None, int | None]
_Answers = dict[_Numbers, list[_Instruction]]  # instructions after a call number has matched


def restrict_sandbox(
    *, may_execute: bool = False, may_execute_memory: bool = False, private_files: bool = False
) -> None:
    """Install the filter of the server process and its descendants.

    Args:
        may_execute: allow ``execve``, for a language whose candidates run in another program. A filter
            cannot see which program is executed; Landlock and the file system restrict that.
        may_execute_memory: allow ``execveat``, for a language whose programs are executed by descriptor.
        private_files: as for ``restrict_candidate``, which is called later.

    Raises:
        OSError: the kernel refuses it, or the system-call numbers of this architecture are not known.
    """
    if (machine := os.uname().machine) not in _MACHINES:
        raise OSError(f"the system calls of {machine} are not known")
    answers: _Answers = {numbers: _returned(_REFUSE) for numbers in _ALWAYS_DENIED.values()}
    if not may_execute:
        answers[_EXECVE] = _returned(_REFUSE)
    if not may_execute_memory:
        answers[_EXECVEAT] = _returned(_REFUSE)
    # Stream sockets only: a datagram socket can send to any socket of the host.
    answers[_SOCKETPAIR] = _by_argument(1, (socket.SOCK_STREAM,), _ALLOW, _REFUSE, _SOCKET_TYPE_MASK)
    kernel.SeccompFilter(_encoded([*_prologue(), *_tree(answers)])).install()
    # Cached for all processes: the key is made of positions.
    _inner_filter(private_files, False, not may_execute)


def restrict_candidate(
    process: int, *, private_files: bool = False, may_fork: bool = False, may_share_memory: bool = True
) -> None:
    """Install the filter of a process that runs untrusted code, in addition to the first one.

    Args:
        process: id of the calling process.
        private_files: True if all files that it sees are its own or read-only.
        may_fork: True for a compiler of untrusted code, which may start other processes. None of these can
            leave its process group.
        may_share_memory: False to refuse memory that could be shared with child processes. A limit on
            private memory does not count it, and the kernel does not name its owner where memory ends.

    Raises:
        OSError: the kernel refuses it.
    """
    prepared, offsets = _inner_filter(private_files, may_fork, may_share_memory)
    for offset in offsets:
        struct.pack_into("<I", prepared.program, offset, process)
    prepared.install()


@functools.cache
def _inner_filter(
    private_files: bool, may_fork: bool, may_share_memory: bool, /
) -> tuple[kernel.SeccompFilter, list[int]]:
    """Build the filter of ``restrict_candidate``; return it with the offsets of the process id in it."""
    denied = _COMPILER_DENIED if may_fork else _CANDIDATE_DENIED
    answers: _Answers = {numbers: _returned(_REFUSE) for numbers in denied.values()}
    answers[_CLONE] = (
        _by_argument(0, (0,), _ALLOW, _REFUSE, _NO_PLAIN_CHILD)
        if may_fork
        else _by_argument(0, (_CLONE_THREAD,), _ALLOW, _REFUSE, _CLONE_THREAD)
    )
    # A filter cannot see the flags of clone3, which lie in memory. The C library falls back to clone.
    answers[_CLONE3] = _returned(_UNKNOWN)
    for numbers in _OWN_PROCESS_ONLY.values():
        answers[numbers] = _by_argument(0, (_OWN_ID,), _ALLOW, _REFUSE)
    for numbers in _OWN_PROCESS_OR_ZERO.values():
        answers[numbers] = _by_argument(0, (_OWN_ID, 0), _ALLOW, _REFUSE)
    # The kernel can send signals to the owner of a descriptor, which may be any process of the user.
    answers[_FCNTL] = _by_argument(1, _COMMANDS_DENIED, _REFUSE, _ALLOW)
    answers[_IOCTL] = _by_argument(1, _CONTROLS_ALLOWED, _ALLOW, _NO_SUCH_CONTROL)
    # What lies in a buffer of a socket is memory that no limit counts.
    answers[_SETSOCKOPT] = _by_argument(2, (socket.SO_SNDBUF,), _PRETEND, _ALLOW)
    # Some programs close all descriptors, by numbers if they cannot close a range.
    answers[_CLOSE] = _by_argument(0, (KEPT_DESCRIPTOR,), _PRETEND, _ALLOW)
    answers[_CLOSE_RANGE] = _returned(_UNKNOWN)
    for duplicate in (_DUP2, _DUP3):
        answers[duplicate] = _by_argument(1, (KEPT_DESCRIPTOR,), _REFUSE, _ALLOW)
    if not may_share_memory:
        answers[_MMAP] = _by_argument(3, (_SHARED_MEMORY,), _NO_MEMORY, _ALLOW, _SHARED_MEMORY)
    if not private_files:
        answers |= _file_answers()
    program = [(_LOAD, 0, 0, _NUMBER_OFFSET), *_tree(answers)]
    offsets = [8 * i + 4 for i, instruction in enumerate(program) if instruction[3] == _OWN_ID]
    return kernel.SeccompFilter(_encoded(program)), offsets


def _file_answers() -> _Answers:
    answers: _Answers = {numbers: _returned(_REFUSE) for numbers in _FILES_DENIED.values()}
    # Programs commonly set modes of their own files and copies, and do not depend on the effect.
    answers |= {numbers: _returned(_PRETEND) for numbers in _MODE_CHANGES.values()}
    # Setting the current time is refused: after a success, Path.touch would not create a missing file.
    answers[_UTIMENSAT] = _by_argument(2, (0,), _REFUSE, _PRETEND)
    # Landlock before version 3 does not control truncation.
    access_mask = os.O_TRUNC | os.O_ACCMODE
    for index, numbers in ((1, _OPEN), (2, _OPENAT)):
        answers[numbers] = _by_argument(index, _TRUNCATE_WITHOUT_WRITE, _REFUSE, _ALLOW, access_mask)
    answers[_OPENAT2] = _returned(_UNKNOWN)  # its flags lie in memory too
    return answers


def _prologue() -> list[_Instruction]:
    """Kill a process that uses the calls of another architecture; load the call number."""
    _, architecture = _MACHINES[os.uname().machine]
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_IF_AT_LEAST, 0, 1, _X32_CALLS),
        (_RETURN, 0, 0, _KILL),
    ]


def _tree(answers: _Answers) -> list[_Instruction]:
    """Binary search for the answer to the loaded call number; calls without an answer are allowed."""
    column, _ = _MACHINES[os.uname().machine]
    existing = ((numbers[column], answer) for numbers, answer in answers.items())
    return _branch(sorted((number, answer) for number, answer in existing if number is not None))


def _branch(answers: Sequence[tuple[int, list[_Instruction]]]) -> list[_Instruction]:
    if len(answers) <= _LEAF_SIZE:
        compared = ([(_IF_EQUAL, 0, len(answer), number), *answer] for number, answer in answers)
        return [*itertools.chain.from_iterable(compared), *_returned(_ALLOW)]
    middle = len(answers) // 2
    below, others = _branch(answers[:middle]), _branch(answers[middle:])
    # A conditional jump reaches at most 255 instructions.
    return [(_IF_AT_LEAST, 0, 1, answers[middle][0]), (_JUMP, 0, 0, len(below)), *below, *others]


def _returned(result: int) -> list[_Instruction]:
    return [(_RETURN, 0, 0, result)]


def _by_argument(
    index: int, values: Sequence[int], result: int, otherwise: int, mask: int | None = None
) -> list[_Instruction]:
    """Return ``result`` if an argument, masked if a mask is given, is among the values, else ``otherwise``.

    Only the low 32 bits are compared. The kernel itself ignores the high bits of the arguments used here,
    except that a pointer counts as null if its low 32 bits are zero. Both architectures are little-endian.
    """
    return [
        (_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * index),
        *([] if mask is None else [(_AND, 0, 0, mask)]),
        *(
            (_IF_EQUAL, left, 0, value)
            for left, value in zip(range(len(values), 0, -1), values, strict=True)
        ),
        *_returned(otherwise),
        *_returned(result),
    ]


def _encoded(program: list[_Instruction]) -> bytes:
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)

"""System calls that candidates may not make, as seccomp filters.

Two filters are stacked. The first holds for the zygote and all it forks: nothing that reaches another
process, another name space, the network, the kernel's configuration, or memory that no limit counts. The
second is added in every candidate's process: no further process, no other program, no word to any process
but itself.
"""

import errno
import functools
import os
import struct

from executors.execution import kernel

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
    "execveat": (322, 281),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
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
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "settimeofday": (164, 170),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_EXECVE = (59, 221)
_CANDIDATE_DENIED = {"fork": (57, None), "vfork": (58, None), "pidfd_open": (434, 434)}
_OWN_PROCESS_ONLY = {
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
}
_ZERO_IS_SELF = ("prlimit64", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler")
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_SOCKETPAIR = (53, 199)

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, audit architecture

_CLONE_THREAD = 0x00010000
_SOCKET_TYPE_MASK, _SOCK_STREAM = 0xF, 1
_X32_CALLS = 0x40000000

_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x15, 0x35, 0x45
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE, _UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

_OWN_ID = 0xFEDCBA98  # a placeholder; no such constant occurs in a filter

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def restrict_sandbox(*, may_execute: bool = False) -> None:
    """Install the filter that holds for the zygote and everything it forks.

    Args:
        may_execute: allow ``execve``, for a language whose candidates run in a program of their own. Which
            program that is cannot be seen from a filter; Landlock and the file system decide it.

    Raises:
        OSError: the kernel refuses it, or this machine's system calls have numbers unknown here.
    """
    if (machine := os.uname().machine) not in _MACHINES:
        raise OSError(f"the system calls of {machine} are not known")
    column, _ = _MACHINES[machine]
    program = _prologue()
    for numbers in _ALWAYS_DENIED.values():
        program += _answer(numbers[column], _REFUSE)
    if not may_execute:
        program += _answer(_EXECVE[column], _REFUSE)
    # Only connected pairs: a datagram socket could still be sent to a socket of the host's.
    program += [
        (_IF_EQUAL, 0, 4, _SOCKETPAIR[column]),
        _argument(1),
        (_AND, 0, 0, _SOCKET_TYPE_MASK),
        (_IF_EQUAL, 1, 0, _SOCK_STREAM),
        (_RETURN, 0, 0, _REFUSE),
    ]
    kernel.Filter(_encoded([*program, (_RETURN, 0, 0, _ALLOW)])).install()
    _candidate_filter()  # is then ready in every process forked from here


def restrict_candidate(process: int) -> None:
    """Install the filter of a candidate's process, which has the given id.

    Raises:
        OSError: the kernel refuses it.
    """
    prepared, places = _candidate_filter()
    for place in places:
        struct.pack_into("<I", prepared.program, place, process)
    prepared.install()


@functools.cache
def _candidate_filter() -> tuple[kernel.Filter, list[int]]:
    """The filter of a candidate's process, and the places in it where the process's id goes."""
    column, _ = _MACHINES[os.uname().machine]
    program = _prologue()
    for numbers in _CANDIDATE_DENIED.values():
        program += _answer(numbers[column], _REFUSE)
    # The flags of clone3 lie in memory, out of a filter's sight; the C library falls back on clone.
    program += _answer(_CLONE3[column], _UNKNOWN)
    program += [
        (_IF_EQUAL, 0, 4, _CLONE[column]),
        _argument(0),
        (_IF_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for name, numbers in _OWN_PROCESS_ONLY.items():
        program += [
            (_IF_EQUAL, 0, 5, numbers[column]),
            _argument(0),
            (_IF_EQUAL, 2, 0, _OWN_ID),
            (_IF_EQUAL, 1, 0, 0 if name in _ZERO_IS_SELF else _OWN_ID),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    program.append((_RETURN, 0, 0, _ALLOW))
    places = [8 * i + 4 for i, instruction in enumerate(program) if instruction[3] == _OWN_ID]
    return kernel.Filter(_encoded(program)), places


def _prologue() -> list[Instruction]:
    """End a process that makes another architecture's calls; leave the call's number to be compared."""
    _, architecture = _MACHINES[os.uname().machine]
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_IF_AT_LEAST, 0, 1, _X32_CALLS),
        (_RETURN, 0, 0, _KILL),
    ]


def _answer(number: int | None, result: int) -> list[Instruction]:
    return [] if number is None else [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, result)]


def _argument(index: int) -> Instruction:
    """Load the low half of an argument (both machines are little-endian)."""
    return (_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * index)


def _encoded(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)

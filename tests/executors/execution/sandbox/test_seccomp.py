"""Calls that the filters refuse and allow, each made in a process of its own."""

import ctypes
import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import termios
from pathlib import Path

import pytest

from testbudget.executors.execution.sandbox import kernel, seccomp

COLUMN = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
FIOASYNC, FIOSETOWN, SIOCSPGRP, TIOCSTI = 0x5452, 0x8901, 0x8902, 0x5412
F_SETOWN_EX, F_OWNER_PID = 15, 1


def inside(function, *, private_files):
    """Return the value of a function that is called in a candidate process."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            kernel.forbid_new_privileges()
            seccomp.restrict_sandbox(private_files=private_files)
            seccomp.restrict_candidate(os.getpid(), private_files=private_files)
            os.write(writing, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(process, 0)
    return json.loads(answer)


def refused(action):
    """Name of the error that an action raises; None if it raises none."""
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


def calls(table):
    """Functions that make the system calls of a table with all arguments zero."""
    numbers = {name: columns[COLUMN] for name, columns in table.items() if columns[COLUMN] is not None}
    nothing = (ctypes.c_void_p(),) * 6
    return {
        name: lambda number=number: kernel.system_call(number, *nothing) for name, number in numbers.items()
    }


@pytest.mark.parametrize("private_files", [True, False])
def test_every_call_of_the_tables_is_refused(private_files):
    tables = seccomp._ALWAYS_DENIED | seccomp._CANDIDATE_DENIED
    if not private_files:
        tables |= seccomp._FILES_DENIED
    answers = inside(
        lambda: {name: refused(call) for name, call in calls(tables).items()}, private_files=private_files
    )
    assert {name for name, answer in answers.items() if answer != "EPERM"} == set()


def test_calls_that_are_not_in_the_tables_are_allowed():
    def answers():
        os.getpid(), os.getppid(), os.umask(0), os.times(), os.sched_yield(), os.urandom(1)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        os.kill(os.getpid(), signal.SIGUSR1)
        return [refused(lambda: Path("/nowhere").read_text()), refused(os.wait)]

    assert inside(answers, private_files=False) == ["ENOENT", "ECHILD"]


def test_only_the_own_process_can_be_signalled_or_rescheduled():
    def answers():
        others = (os.getppid(), 1, 0, -1, -os.getpgid(0))
        return [
            *(refused(lambda other=other: os.kill(other, 0)) for other in others),
            *(refused(lambda other=other: os.sched_setaffinity(other, {0})) for other in others[:2]),
        ]

    assert inside(answers, private_files=True) == ["EPERM"] * 7


def test_no_descriptor_can_signal_another_process():
    def answers():
        reading, _ = os.pipe()
        owner = struct.pack("ii", F_OWNER_PID, os.getppid())
        actions = (
            lambda: fcntl.fcntl(reading, fcntl.F_SETOWN, os.getppid()),
            lambda: fcntl.fcntl(reading, F_SETOWN_EX, owner),
            lambda: fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGKILL),
            *(
                lambda control=control: fcntl.ioctl(reading, control, struct.pack("i", os.getppid()))
                for control in (FIOSETOWN, SIOCSPGRP, FIOASYNC, TIOCSTI)
            ),
        )
        return [refused(action) for action in actions]

    assert inside(answers, private_files=True) == ["EPERM"] * 3 + ["ENOTTY"] * 4


def test_buffers_of_sockets_keep_their_size():
    def answers():
        pair = socket.socketpair()
        before = pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * before)
        return pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == before

    assert inside(answers, private_files=True)


def test_descriptors_can_be_made_inheritable_and_not_blocking():
    def answers():
        reading, writing = os.pipe()
        os.set_inheritable(reading, True)
        os.set_blocking(reading, False)
        os.write(writing, b"four")
        waiting = fcntl.ioctl(reading, termios.FIONREAD, bytes(4))
        return [os.get_inheritable(reading), os.get_blocking(reading), *struct.unpack("i", waiting)]

    assert inside(answers, private_files=True) == [True, False, 4]


def test_attributes_of_other_files_cannot_be_changed_without_private_files(tmp_path):
    path = tmp_path / "kept"
    path.write_text("kept")
    path.chmod(0o640)
    before = path.stat()

    def answers():
        descriptor = os.open(path, os.O_RDONLY)
        actions = (
            lambda: path.chmod(0o777),
            lambda: os.fchmod(descriptor, 0o777),
            lambda: os.chown(path, os.getuid(), os.getgid()),
            lambda: os.utime(path),
            lambda: os.utime(path, (1, 1)),
            lambda: os.setxattr(path, "user.name", b"value"),
            lambda: os.truncate(path, 0),
            lambda: os.close(os.open(path, os.O_RDONLY | os.O_TRUNC)),
            lambda: os.close(os.open(path, os.O_ACCMODE | os.O_TRUNC)),
        )
        return [refused(action) for action in actions]

    assert inside(answers, private_files=False) == [None, None, "EPERM", "EPERM", None, *["EPERM"] * 4]
    after = path.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns, path.read_text()) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_ctime_ns,
        "kept",
    )


@pytest.mark.parametrize("private_files", [True, False])
def test_common_work_with_files_succeeds(tmp_path, private_files):
    def work():
        os.chdir(tmp_path)
        Path("touched").touch()
        Path("touched").touch()
        Path("written").write_text("first, which is longer")
        Path("written").write_text("text")
        shutil.copy2("written", "copied")
        shutil.copytree(".", "tree", ignore=lambda *_: ["tree"])
        with Path("written").open("r+") as file:
            file.truncate(2)
        Path("written").chmod(0o600)
        return [Path(name).read_text() for name in ("touched", "written", "copied", "tree/written")]

    assert inside(work, private_files=private_files) == ["", "te", "text", "text"]


def test_a_process_that_closes_all_descriptors_keeps_one():
    def answers():
        reading, writing = os.pipe()
        kept = fcntl.fcntl(writing, fcntl.F_DUPFD_CLOEXEC, seccomp.KEPT_DESCRIPTOR)
        os.close(writing)
        os.closerange(kept - 1, kept + 1)
        taken = refused(lambda: os.dup2(reading, kept))
        os.write(kept, b"kept")
        return [kept, taken, os.read(reading, 4).decode(), refused(lambda: os.write(writing, b""))]

    assert inside(answers, private_files=True) == [seccomp.KEPT_DESCRIPTOR, "EPERM", "kept", "EBADF"]

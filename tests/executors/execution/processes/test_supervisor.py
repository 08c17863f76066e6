"""Live processes under a supervisor: what they have, how they are limited, stopped, kept and ended.

Each test works in a forked process, which plays the server process and has no other children.
"""

import contextlib
import fcntl
import itertools
import json
import os
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.live_process import LimitKind
from testbudget.executors.execution.processes.process import ProcessRunner, Work
from testbudget.executors.execution.processes.result_buffer import ResultBuffer, StepReader
from testbudget.executors.execution.processes.staying_process import StayingProcess
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.executors.execution.processes.working_directory import WorkingDirectory
from testbudget.executors.execution.sandbox import kernel

LIMITS = TestLimits(cpu_seconds=0.3, wall_seconds=1.0)
LAYERS = ("pid", "mount", "seccomp")  # without seccomp, all descendants would be ended


def children():
    """Ids of the calling process's children."""
    return [int(child) for child in Path("/proc/thread-self/children").read_text().split()]


def do_parts(process_runner, buffer, content):
    """Work with parts: each byte is the number of parts to take before a text tells their sizes."""
    for step, taken in enumerate(content):
        parts = process_runner.parts.of_next_step()
        buffer.begin(step)
        while sizes := [len(part) for part, _ in itertools.islice(parts, taken)]:
            buffer.append(step, json.dumps(sizes).encode())
        buffer.finish(step)


def do_work(process_runner, buffer, content, descriptors):
    """Work of all tests: each byte is a step."""
    if process_runner.parts is not None:
        do_parts(process_runner, buffer, content)
        return
    for step, what in enumerate(content.decode()):
        buffer.begin(step)
        match what:
            case "d":
                opened = {os.fstat(fd).st_ino for fd in range(3, 256) if is_open(fd)}
                buffer.append(step, json.dumps([[*opened], os.fstat(buffer.descriptor).st_ino]).encode())
            case "p":
                buffer.append(step, str(os.getppid()).encode())
            case "l":
                while True:
                    pass
            case "s":
                for _ in range(2 * 10**6):
                    pass
            case "x":
                os._exit(3)
            case "k":
                os.kill(os.getpid(), signal.SIGKILL)
            case "w":
                os.write(descriptors[0], b"hello")
            case "r":
                buffer.append(step, os.read(descriptors[0], 100))
            case "z":
                time.sleep(1000)
        buffer.finish(step)


def is_open(descriptor):
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
        return True
    return False


def in_server(function):
    """Value of a function of a supervisor and a fork server, called in a forked process."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(reading)
            kernel.forbid_new_privileges()
            control, _outside = socket.socketpair()
            with tempfile.TemporaryDirectory() as scratch:
                directory = WorkingDirectory(scratch, ("seccomp",))
                supervisor = Supervisor(control, LAYERS, LIMITS, directory)
                runner = ProcessRunner(LAYERS, LIMITS, directory.path)
                found = function(supervisor, ForkServer(supervisor, runner, do_work, lambda _: None))
            os.write(writing, json.dumps(found).encode())
        finally:
            os._exit(0)  # the fork server ends with its parent
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(process, 0)
    return json.loads(answer)


def work(content, **given):
    return Work(content.encode(), len(content), 10, **given)


def texts(ended):
    return [[text.decode() for text in step.texts] for step in ended.steps]


def test_a_process_is_a_child_of_the_server_and_has_no_descriptor_of_another():
    def both_at_once(supervisor, server):
        processes = [server.start(work("pd")) for _ in range(3)]
        ends = []
        for process in processes:
            supervisor.watch(process)
            ends += supervisor.end(process)
        return os.getpid(), [texts(ended) for ended in ends]

    parent, found = in_server(both_at_once)
    for (ppid,), (files,) in found:
        assert int(ppid) == parent
        opened, own = json.loads(files)
        assert opened == [own]
    assert len({files for _, (files,) in found}) == 3


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        ("pp", [True, None, 0, [True, True]]),
        ("px", [True, None, 0, [True, False]]),
        ("pk", [False, None, signal.SIGKILL, [True, False]]),
        ("pl", [False, "cpu", signal.SIGKILL, [True, False]]),
        ("pz", [False, "wall", signal.SIGKILL, [True, False]]),
    ],
)
def test_the_end_of_a_process_tells_whether_it_ended_by_itself(content, ending):
    def run(_, server):
        ended = server.run(work(content))
        return ended.by_itself, ended.limit, ended.signal, [step.finished for step in ended.steps]

    assert in_server(run) == ending


def test_a_stopped_process_uses_no_time_and_goes_on_where_it_was():
    def stop_and_resume(supervisor, server):
        process = server.start(work("s"))
        limit = supervisor.watch(process, first_limit=lambda _: 0.01)
        process.stop()
        before = process.cpu_seconds()
        server.run(work("s"))  # another process works meanwhile
        waited = process.cpu_seconds() - before
        process.resume()
        reached = supervisor.watch(process)
        (ended,) = supervisor.end(process, limit=reached)
        return limit, waited, reached, ended.by_itself, [step.finished for step in ended.steps]

    assert in_server(stop_and_resume) == [LimitKind.FIRST, 0.0, None, True, [True]]


def test_a_process_that_stays_does_several_works_and_is_replaced_when_one_ends_it():
    def keep(supervisor, server):
        staying = StayingProcess(supervisor, server)
        ends = [staying.run(work(content)) for content in ("pp", "p", "x", "p", "l", "p")]
        staying.dismiss()
        supervisor.reap_dismissed()
        return [[ended.by_itself, [step.finished for step in ended.steps]] for ended in ends]

    assert in_server(keep) == [
        [True, [True, True]],
        [True, [True]],
        [True, [False]],
        [True, [True]],
        [False, [False]],
        [True, [True]],
    ]


def test_work_has_nothing_to_do_with_processes_that_were_killed_while_they_waited():
    def kill_idle(supervisor, server):
        staying = StayingProcess(supervisor, server)
        staying.run(work("p"))
        ends = []
        for child in children():  # that which stays, and that which is forked ahead
            if child not in supervisor.permanent:
                os.kill(child, signal.SIGKILL)
                os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        ends += [staying.run(work("p")), server.run(work("p"))]
        staying.dismiss()
        supervisor.reap_dismissed()
        return [[ended.by_itself, [step.finished for step in ended.steps]] for ended in ends]

    assert in_server(kill_idle) == [[True, [True]], [True, [True]]]


def test_processes_joined_by_a_pipe_are_watched_together():
    def join(supervisor, server):
        reading, writing = os.pipe()
        second = server.start(work("wz", descriptors=[writing]))
        first = server.start(work("r", descriptors=[reading]))
        os.close(reading)
        os.close(writing)
        limit = supervisor.watch(first, second)
        ends = supervisor.end(first, second, limit=limit)
        return limit, texts(ends[0]), [ended.signal for ended in ends]

    assert in_server(join) == [None, [["hello"]], [0, 0]]


def test_a_loop_of_the_second_process_ends_both():
    def join(supervisor, server):
        reading, writing = os.pipe()
        second = server.start(work("l", descriptors=[writing]))
        first = server.start(work("r", descriptors=[reading]))
        os.close(reading)
        os.close(writing)
        limit = supervisor.watch(first, second)
        ends = supervisor.end(first, second, limit=limit)
        return limit, [ended.limit for ended in ends]

    assert in_server(join) == ["cpu", ["cpu", "cpu"]]


def test_parts_of_any_size_come_one_after_the_other():
    parts = [[b"a", b"bc" * 10**6], [b""], [b"d" * 3 * 10**6, b"", b"e"]]
    found = in_server(lambda _, server: texts(server.run(Work(bytes([1, 1, 1]), 3, 5, parts=parts))))
    assert found == [["[1]", "[2000000]"], ["[0]"], ["[3000000]", "[0]", "[1]"]]


def test_a_process_that_asks_before_it_has_left_a_result_is_killed():
    def greedy(_, server):
        ended = server.run(Work(bytes([1, 2]), 2, 5, parts=[[b"a", b"b"], [b"c", b"d"]]))
        return ended.signal, texts(ended)

    assert in_server(greedy) == [signal.SIGKILL, [["[1]", "[1]"], []]]


def test_what_was_read_before_a_part_was_sent_cannot_be_changed_later():
    buffer = ResultBuffer()
    reader = StepReader(buffer, 1)
    buffer.append(0, b"first")
    reader.read_on()
    buffer.rewind()
    buffer.append(0, b"wrong")
    buffer.append(0, b"second")
    assert reader.read()[0].texts == [b"first", b"second"]

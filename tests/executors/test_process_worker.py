"""Workers in child processes: calls, errors, and ends of either side."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from testbudget.executors.calls import CallFailedError, WorkerDiedError
from testbudget.executors.metering import LeaseEndedError, Reading, Usage
from testbudget.executors.process_worker import ProcessWorker
from testbudget.rewards.errors import UserError

READING = Reading(Usage(1.0), Usage(2.0))


class UnsendableError(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Plain:
    """Worker whose calls block."""

    def __init__(self, greeting):
        self._greeting = greeting
        self._released = threading.Event()

    def greet(self, name):
        return f"{self._greeting}, {name}", os.environ.get("OMP_NUM_THREADS"), os.getpid()

    def wait(self):
        self._released.wait()
        return "released"

    def report(self):
        return READING

    def lease(self, until):
        self._released.set()

    def fail(self, error):
        raise error

    def fail_unsendably(self):
        raise UnsendableError("one", "two")

    def exit(self):
        sys.stderr.write("the engine failed\n")
        sys.stderr.flush()
        os._exit(3)

    def hang(self):
        child = subprocess.Popen(["sleep", "600"])
        return child.pid


class Concurrent:
    """Worker whose calls wait for each other."""

    def __init__(self):
        self._arrived = 0

    async def meet(self, others):
        self._arrived += 1
        while self._arrived < others:
            await asyncio.sleep(0)
        return self._arrived

    async def report(self):
        return READING


def value(call):
    answer = call.result()
    assert answer.error is None
    assert answer.reading == READING
    return answer.value


@pytest.fixture
def worker():
    worker = ProcessWorker(functools.partial(Plain, "hello"), {"OMP_NUM_THREADS": "3"})
    yield worker
    worker.end()


def test_a_method_is_called_in_another_process(worker):
    text, threads, process = value(worker.call("greet", "you"))
    assert (text, threads) == ("hello, you", "3")
    assert process != os.getpid()


def test_a_lease_and_a_report_wait_for_no_call(worker):
    waiting = worker.call("wait")
    assert value(worker.call("report")) == READING
    assert not waiting.done()
    worker.call("lease", Usage(1.0))
    assert value(waiting) == "released"
    assert waiting.result().seconds > 0


def test_asynchronous_calls_run_at_the_same_time():
    worker = ProcessWorker(Concurrent)
    calls = [worker.call("meet", 3) for _ in range(3)]
    assert {value(call) for call in calls} == {3}
    worker.end()


def has_ended(process):
    """True if a process is gone, or waits only for its new parent to take note."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def test_errors_of_a_method_are_values_that_can_be_sent(worker):
    ended = worker.call("fail", LeaseEndedError(Usage(2.0))).result().error
    assert isinstance(ended, LeaseEndedError)
    assert ended.until == Usage(2.0)
    refused = worker.call("fail", UserError("model must be a model")).result().error
    assert (type(refused), str(refused)) == (UserError, "model must be a model")
    failed = worker.call("fail_unsendably").result().error
    assert (type(failed), str(failed)) == (CallFailedError, "UnsendableError: one and two")
    assert value(worker.call("report")) == READING


def test_the_end_of_the_process_ends_its_calls_with_its_last_words(worker):
    calls = [worker.call("exit"), worker.call("greet", "you")]
    for call in calls:
        with pytest.raises(WorkerDiedError, match="the engine failed"):
            call.result()
    with pytest.raises(WorkerDiedError):
        worker.call("report").result()


def test_a_worker_that_cannot_be_made_has_ended():
    worker = ProcessWorker(functools.partial(Plain, "too", "many"))
    with pytest.raises(WorkerDiedError, match="TypeError"):
        worker.call("report").result()
    worker.end()


def test_the_end_of_a_worker_ends_what_it_has_started():
    worker = ProcessWorker(functools.partial(Plain, "hello"))
    child = value(worker.call("hang"))
    waiting = worker.call("wait")
    worker.end()
    with pytest.raises(WorkerDiedError):
        waiting.result()
    while not has_ended(child):
        pass  # until the kernel has taken note


def test_the_end_of_the_caller_ends_the_process():
    code = (
        "import functools, os, signal\n"
        "from testbudget.executors.process_worker import ProcessWorker\n"
        "from tests.executors.test_process_worker import Plain\n"
        "worker = ProcessWorker(functools.partial(Plain, 'hello'))\n"
        "print(worker.call('greet', 'you').result().value[2], flush=True)\n"
        "worker.call('wait')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    while not has_ended(int(ended.stdout)):
        pass

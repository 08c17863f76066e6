import json
import os
import select
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox import cgroups, isolation, kernel, leftovers
from testbudget.executors.execution.sandbox_process import IMPORT_DIRECTORY
from testbudget.rewards.errors import UserError
from tests.executors.execution.conftest import refuse_namespaces

LIMITS = TestLimits(memory_mib=256)
PROGRAM, OTHER = shutil.which("cat"), shutil.which("ls")


@pytest.fixture(params=[None, refuse_namespaces], ids=["every layer", "no namespaces"])
def in_mode(request):
    """Call a function in a thread with or without namespaces."""
    with ThreadPoolExecutor(1, initializer=request.param) as thread:
        yield lambda function: thread.submit(function).result()


def inside(function, programs=()):
    """Return the value of a function of the layers in force, called in the server process."""
    reading, writing = os.pipe()
    guard = os.fork()
    if guard == 0:
        try:
            outer = isolation.isolate_outer({}, LIMITS, programs)
            first = os.fork()
            if first == 0:
                os.chdir(outer.scratch)
                layers = isolation.isolate_inner(outer, LIMITS)
                os.write(writing, json.dumps(function(layers)).encode())
                os._exit(0)
            os.waitpid(first, 0)
            isolation.clean_up(outer)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(guard, 0)
    return json.loads(answer)


def executing(path, programs=(), arguments=("/dev/null",)):
    """Function that returns the exit code of a program in a candidate process; 77 if it is refused."""

    def execute(layers):
        process = os.fork()
        if process == 0:
            try:
                limits = isolation.candidate_limits(layers, LIMITS, 10, programs)
                isolation.isolate_candidate(layers, limits)
                os.execve(path, [path, *arguments], {})
            finally:
                os._exit(77)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

    return execute


def test_a_named_program_can_be_executed_and_no_other(in_mode):
    named = (PROGRAM,)
    assert in_mode(lambda: inside(executing(PROGRAM, named), named)) == 0
    assert in_mode(lambda: inside(executing(OTHER, named), named)) == 77


def test_no_program_can_be_executed_if_none_is_named(in_mode):
    assert in_mode(lambda: inside(executing(PROGRAM))) == 77


def test_a_named_program_may_reserve_much_memory_but_not_use_it():
    if "mount" in isolation.missing_layer_reasons(LIMITS):
        pytest.skip("without a root of its own the sandbox does not let an interpreter find its modules")
    interpreter = os.path.realpath(sys.executable)
    code = "import mmap; mmap.mmap(-1, 512 << 20, mmap.MAP_PRIVATE{})"

    def reserve(protection):
        arguments = ("-I", "-S", "-c", code.format(protection))
        return inside(executing(interpreter, (interpreter,), arguments), (interpreter,))

    assert reserve(", mmap.PROT_READ") == 0
    assert reserve("") == 1


def test_a_missing_program_is_an_error_and_not_a_missing_layer():
    with pytest.raises(FileNotFoundError):
        isolation.isolate_outer({}, LIMITS, ("/nowhere/node",))


def process_tree():
    """Start one process alone and three with children in other sessions; return a pipe and their ids."""
    reading, writing = os.pipe()
    started = []
    for has_descendants in (False, True, True, True):
        started.append(kernel.fork())
        if started[-1] == 0:
            if has_descendants and os.fork() == 0:
                os.setsid()
                os.fork()
            os.write(writing, b"!")
            while True:
                signal.pause()
    for _ in range(1 + 3 * 3):
        os.read(reading, 1)
    os.close(writing)
    return reading, started


def end_process_tree(layers):
    """End all processes but one, then that one; return its state and the rest of their pipe."""
    kernel.adopt_orphans()
    reading, (spared, *_) = process_tree()
    leftovers.end_descendants((spared,))
    alone = os.waitpid(spared, os.WNOHANG)
    leftovers.end_descendants()
    return [*alone, os.read(reading, 1).decode()]


def in_child(function):
    """Function that calls another one in a child of the server process."""

    def call(layers):
        reading, writing = os.pipe()
        process = kernel.fork()
        if process == 0:
            os.write(writing, json.dumps(function(layers)).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            answer = pipe.read()
        os.waitpid(process, 0)
        return json.loads(answer)

    return call


@pytest.mark.parametrize(
    "place", [lambda function: function, in_child], ids=["server process", "child of the server process"]
)
def test_all_descendants_are_ended_except_spared_ones(in_mode, place):
    assert in_mode(lambda: inside(place(end_process_tree))) == [0, 0, ""]


def test_every_missing_layer_has_a_reason(in_mode):
    def start():
        with Runner(LIMITS) as runner:
            return runner.missing

    refusals = in_mode(lambda: isolation.missing_layer_reasons(LIMITS))
    assert sorted(refusals) == sorted(in_mode(start))
    assert all(refusals.values())


def test_a_required_layer_in_force_is_accepted(in_mode):
    with in_mode(lambda: Runner(LIMITS, require=["rlimits", "no_new_privs"])) as runner:
        assert {"rlimits", "no_new_privs"} <= {*runner.layers}


def test_a_required_layer_that_is_missing_is_named_with_those_in_force():
    with ThreadPoolExecutor(1, initializer=refuse_namespaces) as thread:
        refused = thread.submit(Runner, LIMITS, require=["net", "rlimits", "pid"])
        with pytest.raises(UserError, match=r"names pid, net, which this machine .*in force are .*rlimits"):
            refused.result()


def test_an_unknown_layer_cannot_be_required():
    with pytest.raises(UserError, match=r"require must name .*landlock.* but got 'selinux'"):
        Runner(LIMITS, require=["selinux"])


def test_nothing_remains_of_the_sandbox_of_a_killed_caller(in_mode):
    program = f"""
import sys
sys.path.insert(0, {IMPORT_DIRECTORY!r})
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest

runner = Runner(TestLimits(cpu_seconds=600, wall_seconds=600))
print(runner._sandbox._guard.pid, runner._sandbox._scratch or "", flush=True)
test = UnitTest("", 0, "open('x', 'w').close()", kind=TestKind.ASSERT)
while True:
    runner.run(["while True: pass"], [test])
"""
    process = in_mode(
        lambda: subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    )
    guard, _, scratch = process.stdout.readline().strip().partition(" ")
    watch = select.poll()
    watch.register(os.pidfd_open(int(guard)), select.POLLIN)
    process.kill()
    process.communicate()
    watch.poll()
    cgroups.remove_abandoned_groups()
    assert not scratch or not Path(scratch).exists()
    assert list(Path("/sys/fs/cgroup").rglob(f"testbudget-*-{guard}-*")) == []

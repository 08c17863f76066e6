import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits, max_cpu_seconds
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox_process import IMPORT_DIRECTORY, entry_code
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest, Verdict

CORRECT = "def solve(): return 42"
LOOP = "def solve():\n    while True: pass"
DEFIANT_LOOP = (
    "import signal, ctypes\nfor n in (signal.SIGPROF, signal.SIGXCPU): signal.signal(n, signal.SIG_IGN)\n"
    + LOOP
)
EXPECTS_42 = UnitTest("problem", 0, "assert solve() == 42", kind=TestKind.ASSERT)
QUICK = TestLimits(cpu_seconds=0.1, memory_mib=256)


def children(process):
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in text.split()]


def own_children():
    threads = Path("/proc/self/task").iterdir()
    return {int(child) for thread in threads for child in (thread / "children").read_text().split()}


def guard_of(start):
    """Start a runner; return it and the id of its guard."""
    before = own_children()
    runner = start()
    (guard,) = own_children() - before
    return runner, guard


def ends_in_time(descriptor):
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(30_000))


def test_the_memory_limit_does_not_depend_on_the_modules_of_earlier_blocks():
    def verdict_of_a_candidate_that_needs(mib):
        candidate = f"def solve(): return 42 + bytearray({mib} << 20)[0]"
        return sandbox.run([candidate], [EXPECTS_42], "solve").verdicts[0, 0]

    def verdicts():
        return verdict_of_a_candidate_that_needs(24), verdict_of_a_candidate_that_needs(33)

    with Runner(TestLimits(cpu_seconds=1.0, memory_mib=32)) as sandbox:
        before = verdicts()
        sandbox.run(["import asyncio, numpy, unittest.mock\n" + CORRECT], [EXPECTS_42], "solve")
        assert before == verdicts() == (Verdict.PASSED, Verdict.OUT_OF_MEMORY)


def test_layers_are_either_in_force_or_missing(runner):
    assert sorted(runner.layers + runner.missing) == sorted(ISOLATION_LAYERS)
    assert {"no_new_privs", "rlimits"} <= set(runner.layers)


def test_rows_are_candidates_and_columns_are_tests(runner):
    expects_1 = UnitTest("problem", 1, "assert solve() == 1", kind=TestKind.ASSERT)
    result = runner.run([CORRECT, "def solve(): return 1", "("], [EXPECTS_42, expects_1], "solve")
    assert result.verdicts.tolist() == [
        [Verdict.PASSED, Verdict.FAILED],
        [Verdict.FAILED, Verdict.PASSED],
        [Verdict.COMPILE_ERROR, Verdict.COMPILE_ERROR],
    ]
    assert result.verdicts.dtype == np.uint8
    assert result.cpu_seconds.dtype == np.float32
    assert result.cpu_seconds.shape == (3, 2)


@pytest.mark.parametrize(("candidates", "tests"), [([], [EXPECTS_42]), ([CORRECT], []), ([], [])])
def test_a_block_without_candidates_or_tests_is_empty(runner, candidates, tests):
    result = runner.run(candidates, tests, "solve")
    assert result.verdicts.shape == result.cpu_seconds.shape == (len(candidates), len(tests))


def test_cpu_seconds_are_those_of_the_candidate(runner):
    burn = "import time\ndef solve():\n    while time.thread_time() < 0.2: pass\n    return 42"
    result = runner.run([burn, CORRECT], [EXPECTS_42], "solve")
    assert result.verdicts.tolist() == [[Verdict.PASSED], [Verdict.PASSED]]
    assert 0.2 <= result.cpu_seconds[0, 0] < 0.4
    assert 0 < result.cpu_seconds[1, 0] < 0.2


@pytest.mark.parametrize("candidate", [LOOP, DEFIANT_LOOP], ids=["loop", "loop that ignores signals"])
def test_no_candidate_costs_more_than_the_bound(candidate):
    with Runner(QUICK) as runner:
        result = runner.run([candidate], [EXPECTS_42] * 3, "solve")
    assert result.verdicts.tolist() == [[Verdict.TIMED_OUT] * 3]
    assert 0.1 <= result.cpu_seconds.sum() <= max_cpu_seconds(QUICK, 3)


def test_no_process_and_no_directory_remain_after_closing():
    def scratches():
        return set(Path(tempfile.gettempdir()).glob("testbudget-*"))

    before = scratches()
    runner, guard = guard_of(lambda: Runner(QUICK))
    (server,) = children(guard)
    descriptors = [os.pidfd_open(guard), os.pidfd_open(server)]
    runner.run(
        ["import threading\ndef solve():\n    threading.Thread(target=solve).start()"],
        [EXPECTS_42],
        "solve",
    )
    runner.close()
    assert all(ends_in_time(descriptor) for descriptor in descriptors)
    assert guard not in own_children()
    assert scratches() <= before


def test_no_process_outlives_a_killed_caller():
    program = (
        "from testbudget.executors.execution.runner import *\nfrom testbudget.rewards.problem import *\n"
        "runner = Runner(TestLimits(cpu_seconds=300, wall_seconds=300))\nprint(flush=True)\n"
        f"runner.run([{LOOP!r}], [{EXPECTS_42!r}], 'solve')\n"
    ).replace("<TestKind.ASSERT: 'assert'>", "TestKind.ASSERT")
    paths = os.pathsep.join([IMPORT_DIRECTORY, *sys.path])
    caller = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths}
    )
    with caller:
        caller.stdout.readline()
        (guard,) = children(caller.pid)
        (server,) = children(guard)
        while not (candidates := children(server)):
            os.sched_yield()
        descriptors = [os.pidfd_open(process) for process in (guard, server, *candidates)]
        caller.kill()
    assert all(ends_in_time(descriptor) for descriptor in descriptors)


def test_a_new_process_imports_the_package_from_the_given_directory_alone(tmp_path):
    package = tmp_path / "testbudget"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "probe.py").write_text("import sys\ndef show(): print(__file__, sys.argv, sys.path)\n")
    (tmp_path / "struct.py").touch()
    command = [sys.executable, "-P", "-c", entry_code("testbudget.probe", "show"), "7", str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    assert printed.startswith(f"{package / 'probe.py'} ['-c', '7'] ")
    assert f"'{tmp_path}'" not in printed


@pytest.mark.parametrize("victim", ["guard", "server process"])
def test_an_ended_sandbox_is_replaced_and_the_block_run_again(victim):
    runner, guard = guard_of(lambda: Runner(QUICK))
    with runner:
        os.kill(guard if victim == "guard" else children(guard)[0], signal.SIGKILL)
        assert runner.run([CORRECT] * 3, [EXPECTS_42], "solve").verdicts.tolist() == [[Verdict.PASSED]] * 3


def test_a_server_process_that_ends_during_a_block_loses_no_verdict():
    runner, guard = guard_of(lambda: Runner(TestLimits(cpu_seconds=0.3)))
    (server,) = children(guard)
    result = []
    block = ([CORRECT, LOOP, CORRECT], [EXPECTS_42], "solve")
    thread = threading.Thread(target=lambda: result.append(runner.run(*block)))
    with runner:
        thread.start()
        while not children(server):
            os.sched_yield()
        os.kill(server, signal.SIGKILL)
        thread.join()
    assert result[0].verdicts.tolist() == [[Verdict.PASSED], [Verdict.TIMED_OUT], [Verdict.PASSED]]


def test_an_interrupted_block_does_not_affect_the_next():
    def interrupt(*_):
        raise ZeroDivisionError

    before = signal.signal(signal.SIGALRM, interrupt)
    with Runner(TestLimits(cpu_seconds=30, wall_seconds=60)) as runner:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(ZeroDivisionError):
            runner.run([LOOP, "("], [EXPECTS_42], "solve")
        signal.signal(signal.SIGALRM, before)
        assert runner.run([CORRECT], [EXPECTS_42], "solve").verdicts.tolist() == [[Verdict.PASSED]]


def test_a_sandbox_that_cannot_be_built_is_a_sandbox_error(monkeypatch):
    runner, guard = guard_of(lambda: Runner(QUICK))
    with runner:
        with monkeypatch.context() as broken:
            broken.setattr(sys, "_base_executable", "/bin/false")
            with pytest.raises(SandboxError, match="could not be built"):
                Runner()
            os.kill(guard, signal.SIGKILL)
            with pytest.raises(SandboxError, match="could not be built"):
                while True:  # its processes end with the guard, but not in the same moment
                    runner.run([CORRECT], [EXPECTS_42], "solve")
        assert runner.run([CORRECT], [EXPECTS_42], "solve").verdicts.tolist() == [[Verdict.PASSED]]


def test_an_unknown_language_is_a_user_error():
    with pytest.raises(UserError, match=r"language must be one of .*python.* but got 'cobol'"):
        Runner(language="cobol")


def test_a_candidate_that_keeps_timing_out_is_not_run_on_further_tests():
    looping = "def solve(x):\n    while x: pass\n    return 0\n"
    tests = [
        UnitTest("p", index, f"assert solve({x}) == 0", kind=TestKind.ASSERT)
        for index, x in enumerate([0, 1, 0, 1, 0, 1])
    ]
    with Runner(TestLimits(cpu_seconds=0.1, max_timeouts=2)) as runner:
        verdicts = runner.run([looping, "def solve(x):\n    return 0\n"], tests, "solve").verdicts
    passed, timed_out = Verdict.PASSED, Verdict.TIMED_OUT
    assert verdicts[0].tolist() == [passed, timed_out, passed, timed_out, NOT_RUN, NOT_RUN]
    assert verdicts[1].tolist() == [passed] * 6

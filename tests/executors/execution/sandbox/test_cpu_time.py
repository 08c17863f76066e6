"""CPU time of a whole sandbox: by its control group, and by the sum over its processes."""

import os
import threading

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import InterruptedBlockError, Runner
from testbudget.executors.execution.sandbox import cgroups
from testbudget.executors.execution.sandbox.cpu_time import tree_cpu_seconds
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

LIMITS = TestLimits(cpu_seconds=30, wall_seconds=60)
COMPUTES = "def f():\n    return sum(range(5_000_000))"
LOOPS = "def f():\n    while True: pass"
TEST = UnitTest("problem", 0, "assert f() > 1", kind=TestKind.ASSERT)
PROCESSES, TICKS, TICK_SECONDS = 4, 2, 1 / os.sysconf("SC_CLK_TCK")


def test_the_time_of_processes_of_a_tree_that_were_reaped_is_counted():
    before = tree_cpu_seconds(os.getpid())
    process = os.fork()
    if process == 0:
        sum(range(3_000_000))
        os._exit(0)
    _, _, usage = os.wait4(process, 0)
    used = usage.ru_utime + usage.ru_stime
    assert used > 0.02
    assert used <= tree_cpu_seconds(os.getpid()) - before + TICKS * TICK_SECONDS


def test_a_block_costs_more_than_its_pairs_and_the_start_is_counted():
    with Runner(LIMITS) as runner:
        at_start = runner.cpu_seconds
        verdicts = runner.run([COMPUTES], [TEST], "f")
        assert verdicts.verdicts[0, 0] == Verdict.PASSED
        used = runner.cpu_seconds - at_start
        assert at_start > 0.02
        assert used >= verdicts.cpu_seconds.sum() > 0.05
    assert runner.cpu_seconds >= at_start + used


def test_the_group_and_the_processes_of_a_sandbox_have_used_the_same():
    with Runner(LIMITS) as runner:
        guard = runner._sandbox._guard.pid
        if cgroups.cpu_usage_of(guard) is None:
            pytest.skip("this kernel does not count the CPU time of groups")
        runner.run([COMPUTES], [TEST], "f")  # its start goes on for a moment
        by_group, by_processes = runner.cpu_seconds, tree_cpu_seconds(guard)
        runner.run([COMPUTES] * 3, [TEST], "f")
        grown = tree_cpu_seconds(guard) - by_processes
        assert grown == pytest.approx(
            runner.cpu_seconds - by_group, abs=TICK_SECONDS * TICKS * PROCESSES, rel=0.05
        )


def test_an_interrupted_block_raises_an_error_and_what_it_used_is_counted():
    with Runner(LIMITS) as runner:
        at_start = runner.cpu_seconds

        def interrupt_after_some_time():
            while runner.cpu_seconds < at_start + 0.1:
                os.sched_yield()
            runner.interrupt()

        interrupting = threading.Thread(target=interrupt_after_some_time)
        interrupting.start()
        with pytest.raises(InterruptedBlockError):
            runner.run([LOOPS], [TEST], "f")
        interrupting.join()
        assert runner.cpu_seconds >= at_start + 0.1
        with pytest.raises(InterruptedBlockError):
            runner.run([COMPUTES], [TEST], "f")
        runner.admit()
        assert runner.run([COMPUTES], [TEST], "f").verdicts[0, 0] == Verdict.PASSED

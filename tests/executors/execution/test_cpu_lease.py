"""Blocks under a lease of CPU-seconds, with programs that burn CPU time. The kernel's own count judges."""

import contextlib
import math
import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from testbudget.executors.actors import RunnerActor
from testbudget.executors.execution.cpu_lease import cpu_margin, runner_slice, smallest_runner_lease
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.sandbox import cgroups
from testbudget.executors.metering import LeaseEndedError, Usage
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from tests.executors.execution.conftest import MODES, available_modes

LIMITS = TestLimits(cpu_seconds=60, wall_seconds=120)
PASSES = "def f():\n    return 1"
BURNS = {
    "a loop": "def f():\n    while True: pass",
    "threads": """
import threading
def burn():
    while True: pass
def f():
    for _ in range(6): threading.Thread(target=burn).start()
    burn()
""",
    "many short calls": "def f():\n    return sum(range(400_000))",
}
TESTS = [UnitTest("p", index, f"assert f() != {index + 2}", kind=TestKind.ASSERT) for index in range(24)]


class GroupMeter(threading.Thread):
    """The kernel's count of every group that a later child of this process owns, read all the time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seconds = {}
        self._earlier = set(self._children())
        self._done = threading.Event()

    def run(self):
        while not self._done.wait(0.001):
            self.read()

    def read(self):
        for owner in set(self._children()) - self._earlier:
            if (usage := cgroups.cpu_usage_of(owner)) is not None:
                with contextlib.suppress(OSError):  # removed meanwhile
                    self.seconds[owner] = usage.seconds()
                usage.close()

    def _children(self):
        for children in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError):  # the thread has ended
                yield from map(int, children.read_text().split())

    def end(self):
        self._done.set()
        self.join()

    def so_far(self):
        return sum(self.seconds.values())

    def total(self):
        self.end()
        if not self.seconds:
            pytest.skip("this machine does not count the CPU time of groups")
        return self.so_far()


@pytest.fixture
def group_meter():
    meter = GroupMeter()
    meter.start()
    yield meter
    meter.end()


def children_cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture
def actor(request):
    actor = RunnerActor(getattr(request, "param", LIMITS), (), metered=True)
    yield actor
    actor.close()


def run(actor, programs, tests=TESTS, **options):
    options = {"settle": True} | options
    return actor.run("python", programs, range(len(programs)), tests, "f", False, 0, **options)


def test_a_metered_runner_begins_no_block_without_a_lease(actor):
    with pytest.raises(LeaseEndedError):
        run(actor, [PASSES])
    assert actor.report().used == Usage()


@pytest.mark.parametrize("program", BURNS.values(), ids=BURNS)
def test_a_burning_block_ends_before_its_lease_by_the_kernels_count(actor, group_meter, program):
    until = 3.0 + cpu_margin(LIMITS)
    actor.lease(Usage(cpu_seconds=until))
    with pytest.raises(LeaseEndedError) as ended:
        run(actor, [f"{program}\n# {number}" for number in range(60)])
    by_kernel = group_meter.total()
    assert 0.3 < by_kernel <= until
    assert ended.value.until == Usage(cpu_seconds=until)
    assert actor.report().used == Usage(cpu_seconds=until)  # what was left is of no use


def test_without_groups_a_burning_block_ends_before_its_lease():
    mode = available_modes()[-1]  # without namespaces the guard reaps every process inside
    program = BURNS["threads"]
    until = 3.0 + cpu_margin(LIMITS)
    before = children_cpu_seconds()
    with ThreadPoolExecutor(1, initializer=MODES[mode]) as thread:
        actor = RunnerActor(LIMITS, (), metered=True)
        actor.lease(Usage(cpu_seconds=until))
        running = thread.submit(run, actor, [f"{program}\n# {number}" for number in range(60)])
        with pytest.raises(LeaseEndedError):
            running.result()
        thread.submit(actor.close).result()
    assert 0.3 < children_cpu_seconds() - before <= until
    assert actor.report().used == Usage(cpu_seconds=until)


def test_a_block_continues_while_its_lease_is_renewed(actor, group_meter):
    actor.layers("python")  # starts the sandbox
    lease = group_meter.so_far() + 1.0
    actor.lease(Usage(cpu_seconds=lease))
    results = []
    programs = [f"{BURNS['many short calls']}\n# {number}" for number in range(12)]
    running = threading.Thread(target=lambda: results.append(run(actor, programs)))
    running.start()
    leases = 0
    while running.is_alive():
        if (used := actor.report().used.cpu_seconds) > lease - 0.8:
            lease, leases = used + 1.2, leases + 1
            actor.lease(Usage(cpu_seconds=lease))
        running.join(0.005)
    assert leases > 1
    assert (results[0].verdicts == Verdict.PASSED).all()
    assert group_meter.total() <= actor.report().used.cpu_seconds <= lease


def test_a_block_that_its_lease_has_ended_is_judged_under_the_next_one(actor):
    actor.lease(Usage(cpu_seconds=1.6 + cpu_margin(LIMITS)))
    with pytest.raises(LeaseEndedError):
        run(actor, [BURNS["a loop"]])
    actor.lease(Usage(cpu_seconds=30.0))
    assert (run(actor, [PASSES]).verdicts == Verdict.PASSED).all()


@pytest.mark.parametrize("actor", [TestLimits(cpu_seconds=0.3, max_timeouts=1)], indirect=True)
def test_the_verdicts_are_those_without_a_lease(actor):
    programs = [PASSES, "def f():\n    return 5", "def f(:", "def g(): pass", BURNS["a loop"]]
    free = RunnerActor(TestLimits(cpu_seconds=0.3, max_timeouts=1), ())
    actor.lease(Usage(cpu_seconds=60.0))
    leased, unleased = run(actor, programs), run(free, programs)
    free.close()
    np.testing.assert_array_equal(leased.verdicts, unleased.verdicts)
    np.testing.assert_array_equal(leased.same_process, unleased.same_process)
    assert free.report().used.cpu_seconds > 0
    assert Verdict.TIMED_OUT in leased.verdicts


def test_blocks_that_are_not_charged_need_no_lease_and_the_start_is_charged_with_the_first_other(actor):
    actor.layers("python")
    assert (run(actor, [PASSES], charged=False).verdicts == Verdict.PASSED).all()
    assert actor.report().used == Usage()
    actor.lease(Usage(cpu_seconds=20.0))
    run(actor, [PASSES])
    first = actor.report().used.cpu_seconds
    run(actor, [PASSES], charged=False)
    assert actor.report().used.cpu_seconds == first
    run(actor, [PASSES])
    assert actor.report().used.cpu_seconds - first < first


@pytest.mark.parametrize("actor", [TestLimits(cpu_seconds=0.5)], indirect=True)
def test_the_smallest_lease_lets_a_pair_reach_its_time_limit(actor):
    limits = TestLimits(cpu_seconds=0.5)
    actor.lease(smallest_runner_lease(limits))
    assert run(actor, [BURNS["a loop"]], TESTS[:1]).verdicts[0, 0] == Verdict.TIMED_OUT
    assert actor.report().slice == runner_slice(limits) == Usage(cpu_seconds=5.0)
    assert math.isclose(runner_slice(LIMITS).cpu_seconds, 90.0)

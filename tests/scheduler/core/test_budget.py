"""Leases: who may use how much of a cap."""

import pytest

from testbudget.executors.metering import Usage
from testbudget.scheduler.core.budget import Budget
from testbudget.scheduler.core.events import Cap, WorkerKind

SLICE = Usage(cpu_seconds=5.0)


class Workers:
    """Workers that report every half second of their work."""

    def __init__(self, cap, kinds):
        self.budget = Budget(Cap(cap))
        self.used = [0.0] * len(kinds)
        self.until = [0.0] * len(kinds)
        for worker, kind in enumerate(kinds):
            self.obey(self.budget.join(worker, kind, self.slice_of(kind)))
        self.kinds = kinds

    @staticmethod
    def slice_of(kind):
        return SLICE if kind == WorkerKind.RUNNER else Usage(gpu_seconds=5.0)

    def obey(self, leases):
        for lease in leases:
            self.until[lease.worker] = lease.until.cpu_seconds

    def work(self, worker, seconds=0.5):
        """Use as much, or what the lease leaves, and report; return what was used."""
        step = min(seconds, self.until[worker] - self.used[worker])
        self.used[worker] += step
        self.obey(self.budget.meter(worker, Usage(cpu_seconds=self.used[worker]), SLICE))
        self.budget.validate()
        return step


def test_a_worker_alone_at_work_gets_nearly_all_that_idle_ones_do_not_hold():
    workers = Workers({"cpu_seconds": 100.0}, [WorkerKind.RUNNER] * 16)
    while workers.work(0) == 0.5:
        pass
    assert workers.used[0] > 85


def test_workers_that_were_busy_and_are_idle_hold_a_part_of_what_is_left():
    workers = Workers({"cpu_seconds": 400.0}, [WorkerKind.RUNNER] * 64)
    for _ in range(4):
        for worker in range(64):
            workers.work(worker)
    for worker in range(64):
        workers.work(worker, 0.0)
    held = sum(workers.until) - sum(workers.used)
    assert held < (400 - sum(workers.used)) / 2


def test_workers_that_use_nothing_of_a_limit_do_not_share_it():
    one = [WorkerKind.RUNNER]
    alone = Workers({"cpu_seconds": 20.0}, one)
    among_engines = Workers({"cpu_seconds": 20.0}, one + [WorkerKind.REWARD_MODEL] * 30)
    while alone.work(0) == 0.5:
        pass
    while among_engines.work(0) == 0.5:
        pass
    assert among_engines.used[0] == alone.used[0]


@pytest.mark.parametrize("workers", [1, 7, 64])
def test_all_of_a_cap_but_a_bit_of_a_slice_can_be_used(workers):
    crowd = Workers({"cpu_seconds": 120.0}, [WorkerKind.RUNNER] * workers)
    while sum(crowd.work(worker) for worker in range(workers)):
        pass
    assert 119.5 <= sum(crowd.used) <= 120 + 1e-6
    assert crowd.budget.exhausted(WorkerKind.RUNNER)


def test_a_lone_worker_gets_half_of_a_small_cap_at_first():
    assert Workers({"cpu_seconds": 1.6}, [WorkerKind.RUNNER]).until == [pytest.approx(0.8)]

"""Simulated jobs keep their caps and are measured by what their workers do."""

import numpy as np
import pytest

from testbudget.executors.metering import Usage
from testbudget.scheduler.core.events import WorkerKind, WorkerMetered
from testbudget.scheduler.simulation import PickEstimates


@pytest.fixture(scope="module")
def work(script):
    """Work of 30 problems, with a test now and then that takes long."""
    rng = np.random.default_rng(0)
    shape = 30, 20
    return script("recorded_work").RecordedWork(
        generation=rng.uniform(1, 5, shape),
        execution=np.where(rng.random(shape) < 0.05, 8.0, 0.05),
        usable=rng.random(shape) < 0.9,
        estimates=PickEstimates(*rng.random((2, shape[0], shape[1] + 1))),
        programs=rng.integers(1, 5, shape[0]),
    )


@pytest.mark.parametrize("policy", ["uniform", "adaptive"])
def test_no_simulated_job_passes_its_cap_and_the_engines_stay_at_work(script, work, policy):
    loop = script("loop")
    alone, rounds, *capped = loop.job_figures(1, 30, policy, work, (2.0, 1.0, 0.5))
    assert alone.as_tests_alone == pytest.approx(1)
    for one in (alone, rounds, *capped):
        assert one.tests <= 240
        assert one.over <= 1e-9
        assert 0 < one.busy <= 1
        assert one.makespan >= max(one.bounds) - 0.05
    twice = [one for one in capped if one.cell.part == 2]
    assert [one.tests for one in twice] == [240, 240]
    assert all(one.cut for one in capped if one.cell.part == 0.5)
    assert all(one.used[one.cell.quantity] > 0.4 * alone.used[one.cell.quantity] for one in capped)


def test_grants_are_counted_through_the_core(script, work):
    assert script("loop").grants_per_second("adaptive", work) > 0


def test_a_worker_stops_at_its_lease_and_begins_anew_when_it_is_renewed(script):
    simulated = script("simulated_workers")
    workers = simulated.SimulatedWorkers(1, 4, 1, [WorkerKind.REWARD_MODEL])
    workers.lease(0, Usage(gpu_seconds=1.0))
    workers.submit(workers.engines, 7, [0.75, 1.5])
    messages = [workers.wait()]
    while messages[-1].used.gpu_seconds < 1.0:
        messages.append(workers.wait())
    assert workers.engines.used == 1.0
    assert workers.engines.redone == 0
    assert all(isinstance(message, WorkerMetered) for message in messages)
    workers.lease(0, Usage(gpu_seconds=10.0))
    began = workers.now
    while isinstance(message := workers.wait(), WorkerMetered):
        pass
    assert message == simulated.TaskDone(WorkerKind.REWARD_MODEL, 7)
    assert workers.now == pytest.approx(began + 1.5, abs=0.03)
    assert workers.engines.used == pytest.approx(2.5)  # the longer piece was begun anew
    assert workers.engines.redone == pytest.approx(1.0)
    assert workers.engines.busy == pytest.approx(0.75 + 1.5)


def test_aborted_work_never_finishes(script):
    simulated = script("simulated_workers")
    workers = simulated.SimulatedWorkers(1, 1, 1, [])
    workers.submit(workers.engines, 1, [5.0])
    workers.submit(workers.engines, 2, [5.0])
    workers.submit(workers.engines, 3, [1.0])
    workers.abort([1, 2])
    assert workers.wait() == simulated.TaskDone(WorkerKind.REWARD_MODEL, 3)
    assert workers.engines.used == pytest.approx(1.0)

"""Recorded results: their times on the simulated clock, and their costs under leases."""

from dataclasses import replace

import numpy as np
import pytest

from testbudget.executors.metering import Usage
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import UnitTest
from testbudget.scheduler.backends.base import (
    ExecuteWork,
    ExtractWork,
    GenerationDone,
    PoolUse,
    WorkerEnded,
    WorkerReport,
    WorkerStarted,
)
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.core.events import WorkerKind
from testbudget.testing.backend_runs import (
    PROBLEMS,
    executions,
    generation_cost_of,
    generations,
    recording,
)
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import ProblemCandidates
from testbudget.traces.tables import read_trace


def backend(**options):
    return RecordedBackend(recording(), PROBLEMS, **options)


def results(backend):
    found = []
    while reports := backend.wait():
        found += reports
    return found


def test_a_request_takes_its_gpu_seconds_times_the_slots_of_its_engine():
    for slots in (1, 2, 4):
        run = backend(engines=1, slots=slots)
        run.submit(generations()[0])
        (done,) = [report for report in results(run) if isinstance(report, GenerationDone)]
        first, second = 0.25 * slots, 0.5 * slots  # of its two requests
        assert done.piece.finished == (first + second if slots == 1 else second)
        assert run.seconds == done.piece.finished


def test_engines_and_runners_work_at_the_same_time():
    run = backend(engines=2, runners=3)
    for work in [*generations(), *executions()]:
        run.submit(work)
    assert run.pools() == {
        WorkerKind.REWARD_MODEL: PoolUse(2, 1, 11),  # a request on either engine
        WorkerKind.RUNNER: PoolUse(3, 3, 9),
    }
    found = results(run)
    gpu_seconds = sum(generation_cost_of(work).gpu_seconds for work in generations())
    ends = [report.piece.finished for report in found if isinstance(report, GenerationDone)]
    assert gpu_seconds / 2 <= max(ends) < gpu_seconds / 2 + 2.0
    assert ends == sorted(ends)
    assert {report.number for report in found if isinstance(report, WorkerStarted)} == set(range(5))


def test_a_worker_waits_at_the_end_of_its_lease_and_says_so():
    run = backend(metered=True)
    for work in generations():
        run.submit(work)
    (started,) = run.wait()
    assert results(run) == []
    for until in (30.0, 60.0, 90.0):
        run.lease(started.number, Usage(until, np.inf, np.inf))
        usage = [report.used for report in results(run) if isinstance(report, WorkerReport)]
        assert usage[-1].tokens == until
    assert 0 < run.seconds < 2.0  # of four requests


def test_what_a_lease_covers_of_a_piece_is_charged_once():
    run = backend(metered=True)
    work = generations()[0]
    run.submit(work)
    run.wait()
    cost = generation_cost_of(work)
    for tenth in range(1, 11):
        assert not [report for report in results(run) if isinstance(report, GenerationDone)]
        run.lease(0, Usage(*(amount * tenth / 10 for amount in cost)))
    *_, usage, done = results(run)
    assert isinstance(done, GenerationDone)
    np.testing.assert_allclose(usage.used, cost)


def test_work_in_progress_that_is_aborted_is_not_reported():
    run = backend()
    for work in generations()[:2]:
        run.submit(work)
    run.abort([generations()[0].key])
    done = [report.work for report in results(run) if isinstance(report, GenerationDone)]
    assert done == [generations()[1]]


def test_a_retired_kind_drops_its_work_and_starts_anew():
    run = backend()
    run.submit(generations()[0])
    run.retire(WorkerKind.REWARD_MODEL)
    run.submit(generations()[1])
    found = results(run)
    assert [report.number for report in found if isinstance(report, WorkerStarted)] == [0, 1]
    assert [report.number for report in found if isinstance(report, WorkerEnded)] == [0]
    assert [one.work for one in found if isinstance(one, GenerationDone)] == [generations()[1]]


def test_what_needs_a_model_is_refused():
    from_model = replace(generations()[0], model=WorkerKind.POLICY_MODEL)
    with pytest.raises(UserError, match=r"candidates\.model is given"):
        backend().submit(from_model)
    with pytest.raises(UserError, match=r"hidden_states\.base_model is given"):
        backend().submit(ExtractWork("key", PROBLEMS[0].id, ""))


def test_outputs_are_those_of_the_work_s_programs_and_tests(recorded):
    trace, outputs = read_trace(recorded.directory), read_outputs(recorded.directory)
    problem = recorded.problems[0]
    item = ProblemCandidates.of(problem, trace.problem(problem).candidates)
    tests = tuple(UnitTest(problem.id, index, "") for index in (2, 0))
    run = RecordedBackend(trace, recorded.problems, outputs_by_problem=outputs)
    run.submit(ExecuteWork("key", problem, item.programs[1:3], tests, record_outputs=True))
    done = results(run)[-1].block_verdicts
    known = trace.problem(problem).verdicts
    assert done.verdicts.tolist() == [[known[2].verdicts[row], known[0].verdicts[row]] for row in (1, 2)]
    calls = done.recorded_outputs
    assert [(given.test, given.arguments) for given in calls.inputs] == [(0, "[[0], {}]"), (2, "[[2], {}]")]
    values = [[calls.outputs[output].example for output in row] for row in calls.results]
    assert values == [["2", "4"], ["0", "4"]]  # x + 2 and 2 * x

"""Dispatch: what reports become, what is dropped, and what is answered at once."""

import numpy as np
import pytest

from testbudget.executors.generation.base import Completion
from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.executors.metering import Usage
from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.outputs import RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.verdict_reason import GENERAL_SENTENCES
from testbudget.scheduler.assembly import RunMethods, RunSources, make_dispatcher
from testbudget.scheduler.assessment import EliminationRule
from testbudget.scheduler.backends.base import (
    ExecutionDone,
    GenerationDone,
    WorkerEnded,
    WorkerReport,
    WorkerStarted,
    WorkLost,
)
from testbudget.scheduler.core import events as e
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog, Note
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.run_problems import RunProblems
from testbudget.traces.records import TestStatus
from testbudget.traces.tables import read_trace
from tests.scheduler.blocks import block_of

from .work.manual_backend import PIECE, ManualBackend

SLICE = Usage(100.0, 5.0, 5.0)


class Core:
    """The dispatcher with a log, in the place of the core and the driver."""

    def __init__(self, recorded, log, elimination=None) -> None:
        self.log, self.backend = log, ManualBackend()
        self.trace = read_trace(recorded.directory)
        self.problems = RunProblems(recorded.problems, EvidenceStore(log))
        candidates = {p.id: tuple(self.trace.problem(p).candidates) for p in recorded.problems}
        methods = RunMethods(
            UnitTestGenerator(None, 0),
            Majority(),
            default_models(),
            elimination,
            checks_harm=False,
            record_outputs=False,
        )
        sources = RunSources(candidates, None, {})
        self.dispatcher = make_dispatcher(self.problems, self.backend, sources, methods)
        positions = np.arange(len(recorded.problems))
        self.send(e.Sample(positions, positions))

    def send(self, *commands):
        """Send commands; log and apply what is answered at once."""
        return self._kept(self.dispatcher.send(commands))

    def receive(self, *reports):
        """Events of reports, logged and applied."""
        return self._kept(self.dispatcher.receive(reports))

    def generated(self, work):
        tests = self.trace.problems[work.problem].tests
        completions = [
            Completion(tests[r.index].text, tests[r.index].tokens, 0.5, "stop") for r in work.requests
        ]
        return GenerationDone(work, completions, PIECE)

    def executed(self, work, outputs=None):
        verdicts = [[Verdict.PASSED] * len(work.tests)] * len(work.candidates)
        return ExecutionDone(work, block_of(verdicts, outputs=outputs), PIECE)

    def _kept(self, answers):
        entries = [Entry(answer.event, 0.0, answer.records) for answer in answers]
        self.log.append(entries)
        for entry in entries:
            self.problems.store.apply(entry)
            self.dispatcher.apply(entry.event, [record.problem for record in entry.records])
        return [answer.event for answer in answers]


@pytest.fixture
def core(recorded, tmp_path):
    with EventLog(tmp_path / LOG_FILE, durable=False) as log:
        yield Core(recorded, log)


def column(*numbers):
    return np.array(numbers)


GENERATE = e.Generate(column(5, 6), column(0, 1), column(0, 0), column(8, 2))
EXECUTE = e.Execute(column(5), column(0), column(0), column(8), column(0))


def test_tests_of_several_tasks_are_one_event_with_what_is_usable(core):
    assert core.send(GENERATE) == []
    (event,) = core.receive(*map(core.generated, core.backend.submitted))
    assert event.tasks.tolist() == [5, 6]
    assert event.usable.tolist() == [6, 2]
    statuses = [record.status for record in core.problems.store.tests["times/2"].values()]
    assert statuses.count(TestStatus.DUPLICATE) == statuses.count(TestStatus.UNUSABLE) == 1


def test_a_rung_is_executed_on_the_usable_tests_and_the_distinct_programs(core):
    core.send(GENERATE)
    core.receive(core.generated(core.backend.submitted[0]))
    core.send(EXECUTE)
    work = core.backend.submitted[-1]
    assert [test.index for test in work.tests] == [0, 1, 2, 3, 5, 7]
    assert [candidate.index for candidate in work.candidates] == [0, 1, 2, 4]
    (event,) = core.receive(core.executed(work))
    assert [event.rungs[0], event.executions[0], event.left[0]] == [0, 24, 0]


def test_tests_that_make_no_call_leave_no_outputs(core):
    core.send(GENERATE)
    core.receive(core.generated(core.backend.submitted[0]))
    core.send(EXECUTE)
    core.receive(
        core.executed(core.backend.submitted[-1], RecordedOutputs((), (), np.zeros((4, 0), np.int32)))
    )
    (entry,) = core.log.entries(["Executed"])
    assert entry.records[0].outputs is None
    assert core.problems.evidence(0, 8).votes.tests == 6


def executing(core):
    """Submitted work of the first rung of a task."""
    core.send(GENERATE)
    core.receive(core.generated(core.backend.submitted[0]))
    core.send(EXECUTE)
    return core.backend.submitted[-1]


def test_without_elimination_every_pair_is_run_to_its_full_limit(core):
    assert executing(core).settle


@pytest.fixture
def eliminating(recorded, tmp_path):
    with EventLog(tmp_path / LOG_FILE, durable=False) as log:
        yield Core(recorded, log, EliminationRule(Majority(), None))


def test_cut_pairs_that_something_may_rest_on_are_executed_again_before_the_rung_is_logged(eliminating):
    core, work = eliminating, executing(eliminating)
    assert not work.settle
    assert work.standing == (0, 0, 0, 0)
    p, f, t = Verdict.PASSED, Verdict.FAILED, Verdict.TIMED_OUT
    block = block_of([[p, p, p, p], [p, p, t, NOT_RUN], [f, f, f, t], [p, p, p, f]])
    block.cut_at[block.verdicts == t] = 0.05
    assert core.receive(ExecutionDone(work, block, PIECE)) == []
    again = core.backend.submitted[-1]
    assert [candidate.index for candidate in again.candidates] == [1]
    assert [test.index for test in again.tests] == [2]
    assert again.wanted == ((True,),)
    assert (again.settle, again.input_mutations) == (True, 0)
    (event,) = core.receive(ExecutionDone(again, block_of([[t]]), PIECE))
    assert event.executions.tolist() == [15]
    (entry,) = core.log.entries(["Executed"])
    (record,) = entry.records
    assert [verdicts.verdicts[1] for verdicts in record.verdicts] == [p, p, t, NOT_RUN]
    assert [verdicts.cpu_seconds[1] for verdicts in record.verdicts] == [1, 1, 2, 1]
    assert np.argwhere(record.reasons.cut_at).tolist() == [[2, 3]]  # eliminated, whatever it gives
    assert core.problems.store.reasons_of("times/2").of_test(0)[2].sentence == GENERAL_SENTENCES[f]


def test_pairs_that_were_not_run_for_a_cut_that_was_no_timeout_are_executed_too(eliminating):
    core, work = eliminating, executing(eliminating)
    p, t = Verdict.PASSED, Verdict.TIMED_OUT
    block = block_of([[p, p, p, p], [p, t, NOT_RUN, NOT_RUN], [p] * 4, [p] * 4])
    block.cut_at[1, 1] = 0.05
    core.receive(ExecutionDone(work, block, PIECE))
    assert core.receive(ExecutionDone(core.backend.submitted[-1], block_of([[p]]), PIECE)) == []
    rest = core.backend.submitted[-1]
    assert [test.index for test in rest.tests] == [2, 3]
    (event,) = core.receive(ExecutionDone(rest, block_of([[p, NOT_RUN]]), PIECE))
    assert event.executions.tolist() == [15]
    verdicts = core.problems.store.verdicts["times/2"]
    assert [verdicts[test].verdicts[1] for test in range(4)] == [p, p, p, NOT_RUN]


def test_pairs_that_are_lost_while_they_are_executed_again_fail_their_task(eliminating):
    core, work = eliminating, executing(eliminating)
    block = block_of([[Verdict.TIMED_OUT] * 4] * 4, cut_at=0.05)
    core.receive(ExecutionDone(work, block, PIECE))
    (event,) = core.receive(WorkLost(core.backend.submitted[-1], "gone"))
    assert isinstance(event, e.Failed)
    core.send(EXECUTE)
    assert core.backend.submitted[-1].key == work.key
    (event,) = core.receive(core.executed(core.backend.submitted[-1]))
    assert isinstance(event, e.Executed)


def test_a_late_double_is_dropped(core):
    core.send(GENERATE)
    done = core.generated(core.backend.submitted[1])
    assert len(core.receive(done, done)) == 1
    assert core.receive(done) == []


def test_lost_work_is_a_failure_and_what_comes_of_it_later_is_dropped(core):
    core.send(GENERATE)
    first, second = core.backend.submitted
    (event,) = core.receive(WorkLost(first, "gone"), WorkLost(second, "gone"))
    assert isinstance(event, e.Failed)
    assert event.tasks.tolist() == [5, 6]
    assert core.receive(core.generated(first)) == []


def test_work_that_is_aborted_is_dropped_here_and_in_the_back_end(core):
    core.send(GENERATE)
    core.send(e.Abort(column(6)))
    assert core.backend.aborted == [core.backend.submitted[1].key]
    assert core.receive(core.generated(core.backend.submitted[1])) == []
    assert len(core.receive(core.generated(core.backend.submitted[0]))) == 1


def test_results_come_before_the_usage_of_their_wait_and_workers_around_them(core):
    core.send(GENERATE)
    reports = [
        WorkerStarted(3, "engine", WorkerKind.REWARD_MODEL, SLICE),
        WorkerReport(3, Usage(10.0), SLICE),
        core.generated(core.backend.submitted[0]),
        WorkerReport(3, Usage(30.0), SLICE),
        WorkerEnded(3),
    ]
    joined, note, generated, metered, lost = core.receive(*reports)
    assert joined == e.WorkerJoined(3, WorkerKind.REWARD_MODEL, SLICE)
    assert isinstance(note, Note)
    assert note.values == {"number": 3, "name": "engine", "kind": WorkerKind.REWARD_MODEL}
    assert isinstance(generated, e.Generated)
    assert metered == e.WorkerMetered(3, Usage(30.0), SLICE)
    assert lost == e.WorkerLost(3)


def test_leases_and_retirements_go_to_the_back_end(core):
    core.send(e.Lease(3, SLICE), e.Retire(WorkerKind.EXTRACTOR))
    assert core.backend.leases == [(3, SLICE)]
    assert core.backend.retired == [WorkerKind.EXTRACTOR]


def test_an_assessment_is_answered_at_once(core):
    core.send(GENERATE)
    core.receive(*map(core.generated, core.backend.submitted))
    core.send(EXECUTE)
    core.receive(core.executed(core.backend.submitted[-1]))
    (event,) = core.send(e.Assess(column(5), column(0), column(8)))
    assert event.tasks.tolist() == [5]
    assert event.programs.tolist() == [4]
    assert 0 < event.p_wrong[0] < 1
    assert not event.harmful[0]

"""Dispatch between core and back end: commands become work, reports become events with their records.

What comes from a finished run or a file, and assessments, are answered at once. Everything else goes to the
back end, in the order of the commands.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from testbudget.scheduler.assessment import Assessor
from testbudget.scheduler.backends.base import (
    Backend,
    ExecutionDone,
    ExtractionDone,
    GenerationDone,
    Report,
    WorkerEnded,
    WorkerReport,
    WorkerStarted,
    WorkLost,
)
from testbudget.scheduler.core import events as e
from testbudget.scheduler.event_log import Note
from testbudget.scheduler.log_records import AssessedRecord, FailedRecord
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.work.candidates import CandidateSampling
from testbudget.scheduler.work.hidden_states import DRIVER_WORKER, Extraction
from testbudget.scheduler.work.labels import Labelling
from testbudget.scheduler.work.open_work import (
    Answer,
    OpenTask,
    OpenWork,
    WorkKind,
    merged,
    one,
    work_key,
)
from testbudget.scheduler.work.unit_tests import Testing


@dataclass(frozen=True, slots=True, eq=False)
class WorkOfRun:
    """Work of a run by kind.

    Attributes:
        sampling: candidates.
        extraction: hidden states.
        labelling: labels.
        testing: tests.
    """

    sampling: CandidateSampling
    extraction: Extraction
    labelling: Labelling
    testing: Testing


class Dispatcher:
    """Commands of the core in, events for the core out.

    Args:
        problems: problems of the run.
        backend: carries out work.
        open_work: work in progress, shared with ``work``.
        work: work by kind.
        assessor: assesses told problems.
    """

    def __init__(
        self,
        problems: RunProblems,
        backend: Backend,
        open_work: OpenWork,
        work: WorkOfRun,
        assessor: Assessor,
    ) -> None:
        self._problems = problems
        self._backend = backend
        self._open_work = open_work
        self._work = work
        self._assessor = assessor
        self._assessing: e.Assess | None = None

    def send(self, commands: Iterable[e.Command]) -> list[Answer]:
        """Carry out commands: submit work, or answer at once."""
        answers: list[Answer] = []
        for command in commands:
            match command:
                case e.Sample():
                    answers += self._work.sampling.sample(command)
                case e.Extract():
                    answers += self._work.extraction.extract(command)
                case e.Label():
                    answers += self._work.labelling.label(command)
                case e.Generate():
                    self._work.testing.generate(command)
                case e.Execute():
                    self._work.testing.execute(command)
                case e.Assess():
                    answers.append(self._assess(command))
                case e.Lease(worker, until) if worker == DRIVER_WORKER:
                    answers += self._work.extraction.lease(until)
                case e.Lease(worker, until):
                    self._backend.lease(worker, until)
                case e.Abort(tasks):
                    self._open_work.abort(set(tasks.tolist()))
                    self._work.extraction.abort(set(tasks.tolist()))
                case e.WindDown(kind):
                    self._backend.wind_down(kind)
                case e.Retire(kind):
                    self._backend.retire(kind)
        self._work.labelling.submit()
        return answers

    def receive(self, reports: Sequence[Report]) -> list[Answer]:
        """Events of the reports of one wait, one for all results of a kind.

        Results come before the usage that was reported with them: the end of a lease must not cut off what
        is done. Usage is cumulative, so the last report of each worker counts.
        """
        joined: list[Answer] = []
        results: list[Answer] = []
        failed: dict[int, Answer] = {}
        used: dict[int, Answer] = {}
        ended: list[Answer] = []
        for report in reports:
            match report:
                case WorkerStarted(number, name, kind, slice_):
                    note = Note("worker", {"number": number, "name": name, "kind": int(kind)})
                    joined += [Answer(e.WorkerJoined(number, kind, slice_)), Answer(note)]
                case WorkerReport(number, usage, slice_):
                    used[number] = Answer(e.WorkerMetered(number, usage, slice_))
                case WorkerEnded(number, complete):
                    left = e.WorkerLeft(number) if complete else e.WorkerLost(number)
                    ended.append(Answer(left))
                case _ if task := self._open_work.take(work_key(report.work)):
                    if isinstance(report, WorkLost) and work_key(report.work).kind is not WorkKind.LABEL:
                        record = FailedRecord(self._problems.problems[task.position].id, report.reason)
                        lost = e.Quarantined if report.lethal else e.Failed
                        failed[task.number] = Answer(lost(one(task.number)), (record,))
                    else:
                        results += self._result(report, task)
        return [*joined, *merged(results), *merged(failed.values()), *used.values(), *ended]

    def apply(self, event: e.Event | Note, problems: Sequence[str]) -> None:
        """Take note of an event of the log, once its records are in the store.

        Args:
            event: the event.
            problems: problem of each of its records.
        """
        if isinstance(event, e.Extracted):
            positions = [self._problems.positions[problem] for problem in problems]
            self._problems.pass_rates[positions] = event.pass_rates
        elif isinstance(event, e.Assessed) and self._assessing is not None:
            told, self._assessing = self._assessing, None
            self._assessor.tell(told.problems.tolist(), told.tests.tolist())

    def replay(self, commands: Iterable[e.Command]) -> None:
        """Take note of commands that an earlier driver has carried out."""
        for command in commands:
            if isinstance(command, e.Assess):
                self._assessing = command

    def _assess(self, command: e.Assess) -> Answer:
        self._assessing = command
        positions = command.problems.tolist()
        found = self._assessor.assess(positions, command.tests.tolist())
        records = tuple(
            AssessedRecord(self._problems.problems[position].id, pick, p_correct)
            for position, pick, p_correct in zip(
                positions, found.picks.tolist(), found.p_correct.tolist(), strict=True
            )
        )
        event = e.Assessed(
            command.tasks, 1 - found.p_correct, found.programs, found.harmful, found.p_change
        )
        return Answer(event, records)

    def _result(
        self, report: GenerationDone | ExtractionDone | ExecutionDone | WorkLost, task: OpenTask
    ) -> list[Answer]:
        work = self._work
        match report:
            case WorkLost():
                return work.labelling.lost(task)
            case ExtractionDone():
                return [work.extraction.done(report, task)]
            case GenerationDone() if work_key(report.work).kind is WorkKind.SAMPLE:
                return work.sampling.done(report, task)
            case GenerationDone():
                return [work.testing.generated(report, task)]
            case ExecutionDone() if work_key(report.work).kind is WorkKind.LABEL:
                return [work.labelling.done(report, task)]
            case ExecutionDone():
                again = work_key(report.work).kind is WorkKind.SETTLE
                return (work.testing.settled if again else work.testing.executed)(report, task)

"""Hidden states of a run's problems: taken from a finished run at their cost, or extracted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from testbudget.executors.metering import Usage
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.scheduler.backends.base import ExtractionDone, ExtractWork
from testbudget.scheduler.core.events import (
    Extract,
    Extracted,
    Floats,
    WorkerJoined,
    WorkerKind,
    WorkerLeft,
    WorkerMetered,
)
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.job import Job
from testbudget.scheduler.log_records import ExtractedRecord
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.work.open_work import (
    Answer,
    OpenTask,
    OpenWork,
    WorkKey,
    WorkKind,
    ints,
    rows,
)
from testbudget.scheduler.work.prediction import Predictor
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.records import Cost, HiddenStatesRecord, extraction_cost
from testbudget.traces.tables import ReadTrace

DRIVER_WORKER = -1
"""Number of the worker that is the driver itself: it charges hidden states from a finished run."""

_UNLIMITED = Usage(np.inf, np.inf, np.inf)
_SLICES = 4  # leases that the recorded states are charged in, at least


@dataclass(frozen=True, slots=True, eq=False)
class RecordedStates:
    """Hidden states of all problems of a job from a finished run.

    Attributes:
        states: in the order of the problems.
        records: by problem id in the same order, each with its cost in that run.
    """

    states: HiddenStates
    records: Mapping[str, HiddenStatesRecord]

    @property
    def cost(self) -> Cost:
        """Cost of all states; NaN where unmeasured."""
        return Cost.total(map(extraction_cost, self.records.values()))


def recorded_states(job: Job, problems: Sequence[Problem], read: ReadTrace) -> RecordedStates | None:
    """Hidden states from the run that the job names; None if it names none.

    Raises:
        UserError: the run does not have them.
    """
    section = job.hidden_states
    if section is None or section.from_run is None:
        return None
    trace = read(section.from_run)
    hidden = trace.hidden_states_of(problems, section.layers)
    records = {
        problem.id: _record(hidden, row, trace.problem(problem).extraction)
        for row, problem in enumerate(problems)
    }
    return RecordedStates(hidden, records)


def hidden_states_of(problems: Sequence[Problem], store: EvidenceStore) -> HiddenStates | None:
    """Hidden states of problems as recorded, in the order of the problems; None if one has none."""
    records = []
    for problem in problems:
        if (record := store.states.get(problem.id)) is None:
            return None
        records.append(record)
    noted = [record.truncated for record in records]
    truncated = None if None in noted else np.asarray(noted, dtype=np.bool_)
    states = np.stack([record.states for record in records])
    return HiddenStates(store.layers, states, truncated, store.provenance)


class Extraction:
    """Hidden states from a run, or by extraction, with the pass rates predicted from them.

    States from a run are charged at their cost in that run: the driver joins as a worker when the first are
    asked for, and all are there once its leases cover the cost of all that this run does not hold yet.

    Args:
        problems: problems of the run.
        open_work: work in progress.
        recorded: states from a run; None extracts.
        predictor: predicts pass rates; None predicts nothing.
        metered: True if the cap has a limit that metered quantities count towards.
    """

    def __init__(
        self,
        problems: RunProblems,
        open_work: OpenWork,
        recorded: RecordedStates | None,
        predictor: Predictor | None,
        *,
        metered: bool,
    ) -> None:
        self._problems = problems
        self._open_work = open_work
        self._recorded = recorded
        self._predictor = predictor
        self._metered = metered
        self._waiting: list[Extract] = []  # for recorded states that are not yet charged in full
        self._cost: Cost | None = None  # of the recorded states; None before the driver has joined
        self._paid = False

    def extract(self, command: Extract) -> list[Answer]:
        """Submit prompts, or take recorded states, which are charged first."""
        if self._recorded is None:
            for task, position in rows(command.tasks, command.problems):
                problem, key = self._problems.problems[position], WorkKey(WorkKind.EXTRACT, task)
                work = ExtractWork(key, problem.id, problem.prompt)
                self._open_work.submit(key, OpenTask(task, position), work)
            return []
        if self._paid:
            return [self._taken(command)]
        self._waiting.append(command)
        if self._cost is not None:
            return []
        store = self._problems.store
        records = self._recorded.records.items()
        self._cost = Cost.total(
            extraction_cost(record) for problem, record in records if problem not in store.states
        )
        joined = Answer(WorkerJoined(DRIVER_WORKER, WorkerKind.EXTRACTOR, self._usage(1 / _SLICES)))
        return [joined, *([] if self._metered else self.lease(_UNLIMITED))]

    def lease(self, until: Usage) -> list[Answer]:
        """Charge recorded states up to the end of a lease."""
        if not self._waiting:
            return []
        whole = self._usage(1.0)
        shares = [limit / amount for limit, amount in zip(until, whole, strict=True) if amount > 0]
        share = min([1.0, *shares])
        metered = Answer(WorkerMetered(DRIVER_WORKER, self._usage(share), self._usage(1 / _SLICES)))
        if share < 1:
            return [metered]
        waiting, self._waiting, self._paid = self._waiting, [], True
        return [metered, Answer(WorkerLeft(DRIVER_WORKER)), *map(self._taken, waiting)]

    def abort(self, tasks: set[int]) -> None:
        """Drop recorded states that the cap does not pay for."""
        self._waiting = [one for one in self._waiting if not tasks & set(one.tasks.tolist())]

    def done(self, done: ExtractionDone, task: OpenTask) -> Answer:
        """States of one problem.

        Its pass rate is predicted by itself, so that it does not depend on what is extracted beside it.

        Raises:
            UserError: the states are of another model than those before.
        """
        problem, hidden = self._problems.problems[task.position], done.states
        known, found = self._problems.store.provenance, hidden.provenance
        if known and found and (reason := known.conflict(found)):
            raise UserError(
                f"hidden_states.base_model must be the one that this run began with but {reason}"
            )
        states = _record(hidden, 0, Cost(cpu_seconds=done.cpu_seconds, gpu_seconds=done.gpu_seconds))
        record = ExtractedRecord(problem.id, states, hidden.layers, hidden.provenance, done.piece)
        return Answer(Extracted(ints([task.number]), self._rates([problem], hidden)), (record,))

    def _taken(self, command: Extract) -> Answer:
        assert self._recorded is not None
        positions, hidden = command.problems, self._recorded.states
        problems = [self._problems.problems[position] for position in positions.tolist()]
        records = tuple(
            ExtractedRecord(
                problem.id, self._recorded.records[problem.id], hidden.layers, hidden.provenance
            )
            for problem in problems
        )
        rates = self._rates(problems, hidden.of_problems(positions))
        return Answer(Extracted(command.tasks, rates), records)

    def _rates(self, problems: Sequence[Problem], states: HiddenStates) -> Floats:
        if self._predictor is None:
            return np.full(len(problems), np.nan)
        return self._predictor.pass_rates(problems, states)

    def _usage(self, share: float) -> Usage:
        """A share of what the recorded states cost; 0 where unmeasured."""
        assert self._cost is not None
        cost = self._cost * share
        gpu_seconds, cpu_seconds = np.nan_to_num([cost.gpu_seconds, cost.cpu_seconds]).tolist()
        return Usage(gpu_seconds=gpu_seconds, cpu_seconds=cpu_seconds)


def _record(hidden: HiddenStates, row: int, cost: Cost) -> HiddenStatesRecord:
    truncated = None if hidden.truncated is None else bool(hidden.truncated[row])
    return HiddenStatesRecord(hidden.states[row], truncated, cost.cpu_seconds, cost.gpu_seconds)

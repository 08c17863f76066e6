"""Results of a finished run: its tables, picks and facts, all made of its log."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.core.tasks import TaskState
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.job import Job
from testbudget.scheduler.log_records import FailedRecord
from testbudget.scheduler.log_tables import write_run_tables
from testbudget.scheduler.picks import picks, write_picks
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.work.hidden_states import hidden_states_of
from testbudget.traces.records import Cost, extraction_cost
from testbudget.traces.run_info import RunInfo, now, write_run_info
from testbudget.traces.table_writer import PROBLEMS_PER_GROUP
from testbudget.traces.trace import ProblemTrace, Trace
from testbudget.traces.trace_writer import TraceWriter


def write_results(
    job: Job,
    directory: Path,
    log: EventLog,
    problems: RunProblems,
    scheduler: Scheduler,
    confidence_models: ConfidenceModels,
    info: RunInfo,
) -> None:
    """Write the tables of a run, ``picks.jsonl`` and ``run.json``, each atomically.

    Args:
        job: the job.
        directory: run directory.
        log: log of the run.
        problems: its problems with their records.
        scheduler: core of the run, finished.
        confidence_models: models of p_correct, p_gain and p_harm.
        info: facts about the run so far.

    Raises:
        OSError: a file cannot be written.
    """
    _write_traces(job, directory, problems)
    write_run_tables(log, scheduler.tasks, directory)
    closed_because = [scheduler.closed_because(position) for position in range(len(problems))]
    trace = Trace(directory, RecordsOfRun(problems), None)
    made = picks(job, trace, problems.store.recorded_outputs_of, confidence_models)
    lost_because = {
        record.problem: record.reason
        for entry in log.entries(["Failed", "Quarantined"])
        for record in entry.records
        if isinstance(record, FailedRecord)
    }
    write_picks(trace, made, closed_because, lost_because, directory / "picks.jsonl")
    books = scheduler.books
    write_run_info(
        replace(
            info,
            finished=now(),
            books={
                "spent": books.spent,
                "lost": books.lost,
                "reserved": books.reserved,
                "leased": books.leased,
            },
            cut_tasks=_in_state(scheduler, TaskState.CUT),
            lost_tasks=_in_state(scheduler, TaskState.QUARANTINED),
        ),
        directory,
    )


class RecordsOfRun(Mapping[str, ProblemTrace]):
    """Records of the problems of a run by id, in its order, each read when it is asked for.

    Args:
        problems: problems of the run.
    """

    def __init__(self, problems: RunProblems) -> None:
        self._problems = problems

    def __getitem__(self, problem: str) -> ProblemTrace:
        return _problem_trace(self._problems, self._problems.positions[problem])

    def __iter__(self) -> Iterator[str]:
        return iter(self._problems.positions)

    def __len__(self) -> int:
        return len(self._problems)


def _write_traces(job: Job, directory: Path, problems: RunProblems) -> None:
    """Write the tables of the problems, one row group after another."""
    store, traces = problems.store, RecordsOfRun(problems)
    with_states = job.hidden_states is not None and len(store.states) == len(problems)
    source = job.problems.problem_source.as_text()
    with TraceWriter(directory) as writer:
        for first in range(0, len(problems), PROBLEMS_PER_GROUP):
            part = problems.problems[first : first + PROBLEMS_PER_GROUP]
            states = hidden_states_of(part, store) if with_states else None
            # Reasons first: with them, outputs are read.
            reasons = {problem.id: store.reasons_of(problem.id) for problem in part}
            outputs = {problem.id: store.recorded_outputs_of(problem.id) for problem in part}
            writer.add(
                Trace(directory, {problem.id: traces[problem.id] for problem in part}, states, source),
                {problem: found for problem, found in outputs.items() if found},
                {problem: found for problem, found in reasons.items() if found},
            )


def _in_state(scheduler: Scheduler, state: TaskState) -> tuple[int, ...]:
    return tuple(np.flatnonzero(scheduler.tasks.state == state).tolist())


def _problem_trace(problems: RunProblems, position: int) -> ProblemTrace:
    problem, store = problems.problems[position], problems.store
    states = store.states.get(problem.id)
    return ProblemTrace(
        problem.content_hash,
        float(problems.pass_rates[position]),
        store.candidates_of(problem.id),
        store.labels.get(problem.id),
        store.tests.get(problem.id, {}),
        store.verdicts.get(problem.id, {}),
        Cost() if states is None else extraction_cost(states),
        problem,
        store.written_inputs.get(problem.id),
    )

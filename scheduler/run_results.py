"""Results of a finished run: its tables, picks and facts, all made of its log."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from testbudget.rewards.confidence.model import ConfidenceModels
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.core.tasks import TaskState
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.job import Job
from testbudget.scheduler.log_tables import write_run_tables
from testbudget.scheduler.picks import picks, write_picks
from testbudget.scheduler.run_problems import RunProblems
from testbudget.scheduler.work.hidden_states import hidden_states_of
from testbudget.traces.output_tables import write_outputs
from testbudget.traces.reason_tables import write_reasons
from testbudget.traces.records import Cost, extraction_cost
from testbudget.traces.run_info import RunInfo, now, write_run_info
from testbudget.traces.run_tables import GrantRecord
from testbudget.traces.tables import write_trace
from testbudget.traces.trace import ProblemTrace, Trace


def write_results(
    job: Job,
    directory: Path,
    log: EventLog,
    problems: RunProblems,
    scheduler: Scheduler,
    grants: Sequence[GrantRecord],
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
        grants: all grants, in order.
        confidence_models: models of p_correct, p_gain and p_harm.
        info: facts about the run so far.

    Raises:
        OSError: a file cannot be written.
    """
    store = problems.store
    traces = {
        problem.id: _problem_trace(problems, position) for position, problem in enumerate(problems.problems)
    }
    states = hidden_states_of(problems.problems, store) if job.hidden_states else None
    trace = Trace(directory, traces, states, job.problems.problem_source.as_text())
    write_trace(trace)
    recorded = ((problem.id, store.recorded_outputs_of(problem.id)) for problem in problems.problems)
    write_outputs(((problem, found) for problem, found in recorded if found), directory)
    reasons = ((problem.id, store.reasons_of(problem.id)) for problem in problems.problems)
    write_reasons(((problem, found) for problem, found in reasons if found), directory)
    write_run_tables(log, grants, directory)
    closed_because = [scheduler.closed_because(position) for position in range(len(problems))]
    made = picks(job, trace, store.recorded_outputs_of, confidence_models)
    write_picks(trace, made, closed_because, directory / "picks.jsonl")
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

"""Hidden states and predicted pass rates of a run's problems, charged to the same cap as tests."""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from testbudget.difficulty.examples import PASS_RATE
from testbudget.rewards.errors import UserError, require_extra
from testbudget.rewards.problem import Problem
from testbudget.scheduler.backends.base import Backend, ExtractedStates
from testbudget.scheduler.budget import Budget, CapExceededError, Reservation
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.job import Job
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.records import Cost, HiddenStatesRecord, extraction_cost
from testbudget.traces.tables import ReadTrace

if TYPE_CHECKING:
    from testbudget.difficulty.card import DifficultyModel


def take_hidden_states(
    job: Job, problems: Sequence[Problem], budget: Budget, event_log: EventLog, read: ReadTrace
) -> None:
    """Take hidden states from the run that the job names, at their recorded cost.

    Does nothing if the job names no run.

    Raises:
        UserError: the run does not have them, or their cost does not fit under the cap.
    """
    section = job.hidden_states
    if section is None or section.from_run is None or event_log.states:
        return
    trace = read(section.from_run)
    hidden = trace.hidden_states_of(problems, section.layers)
    costs = [trace.problem(problem).extraction for problem in problems]
    records = [_record(hidden, row, cost) for row, cost in enumerate(costs)]
    cost = Cost.total(map(extraction_cost, records))
    try:
        reservation = budget.reserve(cost)
    except CapExceededError as error:
        raise _cap_error(len(problems), error) from None
    with event_log.transaction():
        event_log.add_extraction(hidden.layers, hidden.provenance)
        for problem, record in zip(problems, records, strict=True):
            event_log.add_states(problem.id, record)
    budget.settle(reservation, cost)


def extract_hidden_states(
    job: Job,
    problems: Sequence[Problem],
    backend: Backend,
    budget: Budget,
    event_log: EventLog,
    on_progress: Callable[[], None] = lambda: None,
) -> None:
    """Extract the missing hidden states with the base model that the job names.

    Does nothing if the job names no model. A batch is reserved before it starts and settled when it ends.
    Its states and its cost, split evenly over its problems, are logged together, so a kill loses only the
    batches in flight.

    Args:
        job: names the model.
        problems: problems of the job.
        backend: extracts.
        budget: budget that the batches are charged to.
        event_log: log of the run; states in it are not extracted again.
        on_progress: called after each batch.

    Raises:
        UserError: the model cannot be loaded or is not the one that the run began with; or a batch does not
            fit under the cap.
        InfrastructureError: extraction failed, its retries included.
    """
    section = job.hidden_states
    missing = [problem for problem in problems if problem.id not in event_log.states]
    if section is None or section.base_model is None or not missing:
        return
    # Batches of similar length need little padding. The longest first: too little memory fails at once.
    missing.sort(key=lambda problem: -len(problem.prompt))
    starts = range(0, len(missing), section.batch_size)
    batches = deque(missing[start : start + section.batch_size] for start in starts)
    reserved: dict[tuple[str, ...], Reservation] = {}
    with backend.hidden_states() as extraction:
        while batches or reserved:
            while batches:
                try:
                    reservation = budget.reserve(extraction.max_cost)
                except CapExceededError as error:
                    if reserved:
                        break  # batches in flight may leave enough when they settle
                    raise _cap_error(len(list(itertools.chain(*batches))), error) from None
                batch = batches.popleft()
                names = tuple(problem.id for problem in batch)
                reserved[names] = reservation
                extraction.submit(names, [problem.prompt for problem in batch])
            for done in extraction.wait():
                with event_log.transaction():
                    _log_states(done, event_log)
                budget.settle(reserved.pop(done.problems), done.cost)
            on_progress()


def hidden_states_of(problems: Sequence[Problem], event_log: EventLog) -> HiddenStates | None:
    """Hidden states of problems from the log, in the order of the problems; None if there are none."""
    if not event_log.states:
        return None
    records = [event_log.states[problem.id] for problem in problems]
    noted = [record.truncated for record in records]
    truncated = None if None in noted else np.asarray(noted, dtype=np.bool_)
    states = np.stack([record.states for record in records])
    return HiddenStates(event_log.layers, states, truncated, event_log.provenance)


def _log_states(done: ExtractedStates, event_log: EventLog) -> None:
    came_from = done.states.provenance
    if not event_log.layers:
        event_log.add_extraction(done.states.layers, came_from)
    elif event_log.provenance and came_from and (reason := event_log.provenance.conflict(came_from)):
        raise UserError(f"hidden_states.base_model must be the one that this run began with but {reason}")
    share = done.cost * (1 / len(done.problems))
    for row, problem in enumerate(done.problems):
        event_log.add_states(problem, _record(done.states, row, share))


def _record(hidden: HiddenStates, row: int, cost: Cost) -> HiddenStatesRecord:
    truncated = None if hidden.truncated is None else bool(hidden.truncated[row])
    return HiddenStatesRecord(hidden.states[row], truncated, cost.cpu_seconds, cost.gpu_seconds)


def _cap_error(problems: int, error: CapExceededError) -> UserError:
    return UserError(
        f"the cap must hold the hidden states of {problems} more problems but {error}; "
        "each batch is reserved at hidden_states.timeout_seconds"
    )


def check_predictor(job: Job, read: ReadTrace) -> None:
    """Check the job's predictor before anything is spent.

    Raises:
        UserError: the model or a training run is missing, or the job does not extract the model's layers.
    """
    if job.predictor is None or job.hidden_states is None:
        return
    for run in job.predictor.fit_from or []:
        read(run)
    if job.predictor.path is None:
        return
    needed, given = _model(job.predictor.path).card.layers, job.hidden_states.layers
    if given is not None and set(needed) - set(given):
        raise UserError(
            f"hidden_states.layers must include those of predictor.path, {needed}, but got {given}"
        )


def predicted_pass_rates(
    job: Job, problems: Sequence[Problem], states: HiddenStates | None, read: ReadTrace
) -> NDArray[np.float64] | None:
    """Predicted pass rates, float64 (problems,); None without a predictor.

    A problem is predicted by a model that was fitted without it.

    Raises:
        UserError: the model or a training run cannot be used, or has other hidden states.
    """
    if job.predictor is None or states is None:
        return None
    hashes = [problem.content_hash for problem in problems]
    texts = [problem.prompt for problem in problems]
    if job.predictor.path is not None:
        return _model(job.predictor.path).predict(PASS_RATE.name, states, hashes, texts).mean
    runs = job.predictor.fit_from or []
    layers = job.hidden_states.layers if job.hidden_states else None
    with require_extra("train", "a predictor"):
        from testbudget.difficulty.predictions import fitted_pass_rates
    return fitted_pass_rates(runs, states, hashes, texts, read, job.seed, layers).mean


def _model(directory: Path) -> "DifficultyModel":
    """A trained model; its library is imported here alone, so that a job without a predictor needs none."""
    with require_extra("train", "a predictor"):
        from testbudget.difficulty.card import DifficultyModel
    return DifficultyModel.load(directory)

"""Hidden states of a run's problems before its first test, paid for out of the same cap."""

import itertools
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from difficulty.hidden_states import HiddenStates
from rewards.errors import UserError
from rewards.problem import Problem
from scheduler.backend import Backend, Extracted
from scheduler.job import Job
from scheduler.journal import Journal
from scheduler.ledger import CapExceededError, Cost, Ledger, Reservation
from scheduler.loop import extraction_cost
from scheduler.records import StatesRecord
from scheduler.tables import ReadTrace


def take_hidden_states(
    job: Job, problems: Sequence[Problem], ledger: Ledger, journal: Journal, read: ReadTrace
) -> None:
    """Takes hidden states from the run that the job names, if it names one, for what they cost there.

    Raises:
        UserError: the run does not have them, or the cap has no room for their cost.
    """
    section = job.hidden_states
    if section is None or section.run is None or journal.states:
        return
    trace = read(section.run)
    hidden = trace.hidden_states_of(problems, section.layers)
    costs = [trace.of(problem).extraction for problem in problems]
    records = [_record(hidden, row, cost) for row, cost in enumerate(costs)]
    cost = Cost.total(map(extraction_cost, records))
    try:
        reservation = ledger.reserve(cost)
    except CapExceededError as error:
        raise _no_room(len(problems), error) from None
    with journal.transaction():
        journal.add_extraction(hidden.layers, hidden.provenance)
        for problem, record in zip(problems, records, strict=True):
            journal.add_states(problem.id, record)
    ledger.settle(reservation, cost)


def extract_hidden_states(
    job: Job,
    problems: Sequence[Problem],
    backend: Backend,
    ledger: Ledger,
    journal: Journal,
    on_progress: Callable[[], None] = lambda: None,
) -> None:
    """Has the model that the job names, if it names one, read the prompts that it has not read yet.

    A batch is reserved before it starts and settled when it is done; its states and its cost, shared evenly
    by its problems, reach the journal together, so that a kill loses the batches in flight and no more.

    Raises:
        UserError: the model cannot be had, or is not the one that the run began with; or the cap has no
            room for a batch.
        InfrastructureError: extraction failed, its retries included.
    """
    section = job.hidden_states
    missing = [problem for problem in problems if problem.id not in journal.states]
    if section is None or section.model is None or not missing:
        return
    # Neighbours in length waste little padding; longest first, so that a lack of memory shows at once.
    missing.sort(key=lambda problem: -len(problem.prompt))
    starts = range(0, len(missing), section.batch_size)
    batches = deque(missing[start : start + section.batch_size] for start in starts)
    reserved: dict[tuple[str, ...], Reservation] = {}
    with backend.hidden_states() as extraction:
        while batches or reserved:
            while batches:
                try:
                    reservation = ledger.reserve(extraction.worst)
                except CapExceededError as error:
                    if reserved:
                        break  # what they leave over may be enough
                    raise _no_room(len(list(itertools.chain(*batches))), error) from None
                batch = batches.popleft()
                names = tuple(problem.id for problem in batch)
                reserved[names] = reservation
                extraction.submit(names, [problem.prompt for problem in batch])
            for done in extraction.wait():
                with journal.transaction():
                    _keep(done, journal)
                ledger.settle(reserved.pop(done.problems), done.cost)
            on_progress()


def hidden_states_of(problems: Sequence[Problem], journal: Journal) -> HiddenStates | None:
    """The journal's hidden states of problems, in their order; None if there are none."""
    if not journal.states:
        return None
    records = [journal.states[problem.id] for problem in problems]
    noted = [record.truncated for record in records]
    truncated = None if None in noted else np.asarray(noted, dtype=np.bool_)
    states = np.stack([record.states for record in records])
    return HiddenStates(journal.layers, states, truncated, journal.provenance)


def _keep(done: Extracted, journal: Journal) -> None:
    came_from = done.states.provenance
    if not journal.layers:
        journal.add_extraction(done.states.layers, came_from)
    elif journal.provenance and came_from and (reason := journal.provenance.conflict(came_from)):
        raise UserError(f"hidden_states.model must be the one that this run began with but {reason}")
    share = done.cost * (1 / len(done.problems))
    for row, problem in enumerate(done.problems):
        journal.add_states(problem, _record(done.states, row, share))


def _record(hidden: HiddenStates, row: int, cost: Cost) -> StatesRecord:
    truncated = None if hidden.truncated is None else bool(hidden.truncated[row])
    return StatesRecord(hidden.states[row], truncated, cost.cpu_seconds, cost.gpu_seconds)


def _no_room(problems: int, error: CapExceededError) -> UserError:
    return UserError(
        f"the cap must have room for the hidden states of {problems} more problems but {error}; "
        "hidden_states.timeout_seconds is what each batch is reserved for"
    )

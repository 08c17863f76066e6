"""Vocabulary of the core: events (what happened, the only thing that is logged) and commands (what to do).

Both are columnar, one array per field, so that one code path serves a live run (one or a few tasks per
event) and a simulation (thousands). Problems are named by position, tasks by number, workers by number.
Commands are never logged: a fold of the events yields them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.metering import Usage

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class WorkerKind(IntEnum):
    """Kind of work that a worker does."""

    POLICY_MODEL = 0
    EXTRACTOR = 1
    REWARD_MODEL = 2
    RUNNER = 3


@dataclass(frozen=True, slots=True)
class Cap:
    """Limits on a whole run. All limits that are set hold at once.

    Attributes:
        limits: upper limit by quantity: tests, executions, tokens, gpu_seconds, cpu_seconds or usd.
        prices: US dollars per unit of each quantity; 0 for a quantity that is not named.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    prices: Mapping[str, float] = field(default_factory=dict)


# ---- events ----


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Header of a log: all that the core's decisions depend on beside the policy.

    Attributes:
        problems: number of problems.
        seed: of the order among problems with equal values.
        cap: the limits.
        max_tests: int64 (problems,), tests that each problem may get at most.
        min_tests: tests that each problem gets before the policy is asked.
        window: most tests that may be granted and not told.
        quantum: tests told between two decisions.
        checks: ascending numbers of tests at which a grant ends, because harm is checked there.
        executions_per_pair: executions charged for one (candidate, test) pair, input mutations included.
        assesses: True if p_wrong or harm is to be assessed for told tasks.
        inputs: most inputs without expected values that a model writes for a problem; 0 for none. They are
            a task of their own: ``first`` is ``WRITTEN_INPUTS``, ``tests`` is 1.
        inputs_price: price of such a task in tests, in the unit of the cap.
    """

    problems: int
    seed: int
    cap: Cap
    max_tests: Ints
    min_tests: int
    window: int
    quantum: int
    checks: tuple[int, ...] = ()
    executions_per_pair: int = 1
    assesses: bool = True
    inputs: int = 0
    inputs_price: float = 1.0


@dataclass(frozen=True, slots=True)
class Sampled:
    """Problems have their candidates: so many distinct programs each."""

    tasks: Ints
    programs: Ints


@dataclass(frozen=True, slots=True)
class Extracted:
    """Problems have their hidden states, and pass rates predicted from them (NaN without a predictor)."""

    tasks: Ints
    pass_rates: Floats


@dataclass(frozen=True, slots=True)
class Generated:
    """Tests of tasks are generated; so many of each task are usable. All of them are charged."""

    tasks: Ints
    usable: Ints


@dataclass(frozen=True, slots=True)
class Executed:
    """One rung of the tests of each task is executed.

    Attributes:
        tasks: the tasks.
        rungs: number of this rung in its task, from 0; a late double repeats an earlier number.
        executions: executions made in this rung.
        left: usable tests of the task that are not executed yet; 0 ends the task.
    """

    tasks: Ints
    rungs: Ints
    executions: Ints
    left: Ints


@dataclass(frozen=True, slots=True)
class Assessed:
    """Assessment of the picks of problems, in answer to an ``Assess`` command.

    Attributes:
        tasks: as in the command.
        p_wrong: probability that the pick is wrong; NaN if not computed.
        programs: distinct programs that further tests are executed on.
        harmful: True if more tests would harm the pick; the problem is closed.
        p_change: probability that more tests change the output group of the pick; NaN if not computed.
    """

    tasks: Ints
    p_wrong: Floats
    programs: Ints
    harmful: Bools
    p_change: Floats


@dataclass(frozen=True, slots=True)
class Labelled:
    """Problems have their labels. No decision reads them."""

    problems: Ints


@dataclass(frozen=True, slots=True)
class Failed:
    """The infrastructure lost the present work of tasks. It is no verdict: the work is commanded again.

    A task that fails ``tasks.MAX_FAILURES`` times is quarantined: told without a vote, its problem closed.
    """

    tasks: Ints


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Several workers died of the present work of tasks alone. It is told without a vote, never repeated.

    The problems of the tasks are closed.
    """

    tasks: Ints


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker is there.

    Attributes:
        worker: its number, unique since the last ``RunStarted`` or ``DriverRestarted``.
        kind: kind of its work.
        slice: a few seconds of its work in each metered quantity: the size of a lease.
    """

    worker: int
    kind: WorkerKind
    slice: Usage


@dataclass(frozen=True, slots=True)
class WorkerMetered:
    """A worker has used so much.

    Attributes:
        worker: its number.
        used: usage since it joined.
        slice: as in ``WorkerJoined``, by the rate that was measured since.
    """

    worker: int
    used: Usage
    slice: Usage


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker is gone; its open lease is charged as lost."""

    worker: int


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """An idle worker was let go, with all its usage reported; the rest of its lease is free again."""

    worker: int


@dataclass(frozen=True, slots=True)
class DriverRestarted:
    """A new driver continues the run; all workers of before are gone."""


@dataclass(frozen=True, slots=True)
class CapChanged:
    """The limits of the run changed."""

    cap: Cap


@dataclass(frozen=True, slots=True)
class Paused:
    """No more grants until ``Continued``."""


@dataclass(frozen=True, slots=True)
class Continued:
    """Grants are made again."""


Event = (
    RunStarted
    | Sampled
    | Extracted
    | Generated
    | Executed
    | Assessed
    | Labelled
    | Failed
    | Quarantined
    | WorkerJoined
    | WorkerMetered
    | WorkerLost
    | WorkerLeft
    | DriverRestarted
    | CapChanged
    | Paused
    | Continued
)


# ---- commands ----


@dataclass(frozen=True, slots=True)
class Sample:
    """Have the candidates of problems sampled or taken from their source."""

    tasks: Ints
    problems: Ints


@dataclass(frozen=True, slots=True)
class Extract:
    """Have the hidden states of problems extracted or taken from their source, and pass rates predicted."""

    tasks: Ints
    problems: Ints


@dataclass(frozen=True, slots=True)
class Label:
    """Have the candidates of problems labelled by ground truth."""

    problems: Ints


@dataclass(frozen=True, slots=True)
class Generate:
    """Have the tests ``first`` to ``first + tests - 1`` of problems generated, or their inputs written."""

    tasks: Ints
    problems: Ints
    first: Ints
    tests: Ints


@dataclass(frozen=True, slots=True)
class Execute:
    """Have the next rung of each task executed, number ``rungs`` from 0."""

    tasks: Ints
    problems: Ints
    first: Ints
    tests: Ints
    rungs: Ints


@dataclass(frozen=True, slots=True)
class Assess:
    """Have the picks of problems assessed by the told prefix.

    Attributes:
        tasks: tasks that are told now, in order; quarantined and cut ones are left out.
        problems: their problems, each once.
        tests: tests of each problem that are told, those of the task included.
    """

    tasks: Ints
    problems: Ints
    tests: Ints


@dataclass(frozen=True, slots=True)
class Lease:
    """The worker may have used so much in all, then it stops by itself."""

    worker: int
    until: Usage


@dataclass(frozen=True, slots=True)
class Abort:
    """Work of these tasks is of no use any more: the cap is used up."""

    tasks: Ints


@dataclass(frozen=True, slots=True)
class WindDown:
    """No more work of this kind will come than was commanded, if none fails: idle workers can be let go."""

    kind: WorkerKind


@dataclass(frozen=True, slots=True)
class Retire:
    """No more work of this kind will come: its workers can be let go."""

    kind: WorkerKind


Command = Sample | Extract | Label | Generate | Execute | Assess | Lease | Abort | WindDown | Retire

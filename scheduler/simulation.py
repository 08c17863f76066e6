"""Core answered at once from recorded tests: the grants of a run whose work takes no time.

It is the core of a run, with the same decisions. What the work would yield is looked up: p_wrong and
p_change after each number of tests. So thousands of runs take seconds, and runs that differ in the policy
alone see the same tests (common random numbers).
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from testbudget.policies.base import Policy
from testbudget.scheduler.core import events as e
from testbudget.scheduler.core.events import Command, Event, Floats, Ints
from testbudget.scheduler.core.planner import UNLIMITED, Grants
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.window import look_ahead
from testbudget.traces.learning_curves import LearningCurve


@dataclass(frozen=True, slots=True)
class Pace:
    """Look-ahead of a simulated run.

    Attributes:
        window: most tests that may be granted and not told.
        quantum: tests told between two decisions.
    """

    window: int
    quantum: int

    @classmethod
    def of_slots(cls, slots: int, problems: int) -> "Pace":
        """Look-ahead of a job that generates so many tests at the same time; rounds for 0 slots."""
        return cls(*look_ahead(slots, problems)) if slots else cls(UNLIMITED, UNLIMITED)


ROUNDS = Pace.of_slots(0, 0)
"""Decisions only when every granted test is told."""


@dataclass(frozen=True, slots=True, eq=False)
class PickEstimates:
    """Estimates of the picks of all problems after every number of tests; what assessments would say.

    Attributes:
        p_wrong: float64 (problems, tests + 1).
        p_change: float64 (problems, tests + 1).
    """

    p_wrong: Floats
    p_change: Floats

    @classmethod
    def of(cls, curves: Sequence[LearningCurve]) -> "PickEstimates":
        """Estimates of learning curves. A problem with fewer tests keeps its last values."""
        last = np.array([len(curve.p_wrong) - 1 for curve in curves])
        steps = np.minimum(np.arange(last.max() + 1), last[:, np.newaxis])
        entries = (np.cumsum(last + 1) - (last + 1))[:, np.newaxis] + steps
        return cls(
            np.concatenate([curve.p_wrong for curve in curves])[entries],
            np.concatenate([curve.p_change for curve in curves])[entries],
        )


def simulate(
    policy: Policy,
    cap: int,
    max_tests: Ints,
    estimates: PickEstimates | None = None,
    *,
    pace: Pace = ROUNDS,
    seed: int = 0,
    min_tests: int = 0,
    on_grant: Callable[[Grants], None] | None = None,
) -> Ints:
    """Run the core on recorded tests until the cap is spent.

    Budgets of a static policy depend on no result and on no look-ahead.

    Args:
        policy: a new one, or any static one.
        cap: number of tests in total.
        max_tests: int64 (problems,), tests that each problem may get at most.
        estimates: of at least as many tests; None for a static policy, which reads none.
        pace: look-ahead.
        seed: seed of the order among problems with equal values.
        min_tests: tests that each problem gets before the policy is asked.
        on_grant: called with the grants of each decision.

    Returns:
        Tests granted to each problem, int64 (problems,).
    """
    if policy.static:
        pace = ROUNDS
    started = e.RunStarted(
        problems=len(max_tests),
        seed=seed,
        cap=e.Cap({"tests": cap}),
        max_tests=np.asarray(max_tests, np.int64),
        min_tests=min_tests,
        window=pace.window,
        quantum=pace.quantum,
        assesses=not policy.static,
    )
    scheduler = Scheduler(
        started, lambda _: policy, needs_all="pass_rates" in policy.needs, on_grant=on_grant
    )
    answer_all(scheduler, scheduler.start(), estimates)
    return scheduler.problems.granted


def answer_all(
    scheduler: Scheduler, commands: Iterable[Command], estimates: PickEstimates | None = None
) -> None:
    """Answer commands, and those that follow, at once, until there are none.

    Args:
        scheduler: the core.
        commands: its commands.
        estimates: as for :func:`simulate`.
    """
    left = deque(commands)
    while left:
        event = _answer(left.popleft(), estimates)
        if event is not None:
            left += scheduler.handle(event)


def _answer(command: Command, estimates: PickEstimates | None) -> Event | None:
    """Answer that a run would give; None for a command that changes no grant."""
    match command:
        case e.Sample(tasks, _):
            return e.Sampled(tasks, np.ones_like(tasks))
        case e.Generate(tasks, _, _, tests):
            return e.Generated(tasks, tests)
        case e.Execute(tasks, _, _, tests, rungs):
            return e.Executed(tasks, rungs, tests, np.zeros_like(tasks))
        case e.Assess(tasks, problems, tests):
            assert estimates is not None
            at = problems, tests
            harmful = np.zeros(len(tasks), np.bool_)
            return e.Assessed(
                tasks, estimates.p_wrong[at], np.ones_like(tasks), harmful, estimates.p_change[at]
            )
    return None

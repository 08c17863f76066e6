"""Look-ahead of a run: how many tests are granted before the first of them is told."""

from testbudget.policies.registry import policy_class
from testbudget.scheduler.core.budget import Budget
from testbudget.scheduler.core.events import Cap
from testbudget.scheduler.core.planner import UNLIMITED
from testbudget.scheduler.job import Job

_TESTS_PER_SLOT = 16  # below 4 to 8, one timeout at the head of the window blocks all others
_SLOTS_PER_RUNNER = 4
_USUAL_RUNNERS = 16


def look_ahead(slots: int, problems: int) -> tuple[int, int]:
    """Most tests that may be granted and not told, and tests told between two decisions.

    They are ``window = max(16 * slots, problems)`` and ``quantum = min(slots, problems) / 4``, at least 1.
    With a quantum of all problems or more, decisions would wait for all of them, as in rounds.

    Args:
        slots: tests that the run generates at the same time at most.
        problems: number of problems.
    """
    return max(_TESTS_PER_SLOT * slots, problems), max(1, min(slots, problems) // 4)


def window_and_quantum(job: Job, problems: int) -> tuple[int, int]:
    """Window and quantum of a job, by :func:`look_ahead` where it sets none.

    They follow from the job alone, not from the workers that happen to live, since decisions depend on
    them. Slots are the tests that the job generates at the same time at most. Recorded tests wait for
    runners alone: four slots for each.

    Grants of a static policy depend on no result. If the cap counts and meters nothing, its window is
    without end: everything is granted as soon as it may be. Under a metered cap the order of grants decides
    what is cut, so that its window is bounded too.

    Args:
        job: the job; it may set either.
        problems: number of problems.
    """
    if job.tests.model is None:
        slots = _SLOTS_PER_RUNNER * (job.execution.runners or _USUAL_RUNNERS)
    else:
        slots = job.tests.model.actors * job.tests.model.in_flight
    usual_window, usual_quantum = look_ahead(slots, problems)
    window, quantum = job.policy.window, job.policy.quantum
    if window is None:
        budget = Budget(Cap(job.cap.limits, job.unit_prices))
        counted = budget.bounds_tests or budget.bounds_executions
        without_end = policy_class(job.policy.name).static and counted and not budget.meters
        window = UNLIMITED if without_end else max(usual_window, quantum or 1)
    return window, quantum or min(usual_quantum, window)

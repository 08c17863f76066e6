"""Steps of a static policy in a bounded window."""

import numpy as np
import pytest

from testbudget.scheduler.core.events import Cap, RunStarted
from testbudget.scheduler.core.planner import UNLIMITED, Planner
from testbudget.scheduler.core.problems import ProblemTable

from .commands import Equal


def first_choice(problems, slots, window):
    started = RunStarted(
        problems=problems, seed=0, cap=Cap({"tests": 50 * problems}), max_tests=np.full(problems, 100),
        min_tests=0, window=window, quantum=max(1, min(slots, problems) // 4),
    )  # fmt: skip
    table = ProblemTable(started)
    table.busy[:], table.prepared[:] = False, True
    planner = Planner(started, table, Equal())
    planner.release(table.able())
    return planner.choose(50 * problems, window, idle=True).tests


@pytest.mark.parametrize(("problems", "slots"), [(1000, 64), (1000, 200), (1000, 1024), (40, 1024)])
def test_a_step_of_all_problems_is_work_for_all_slots_and_leaves_budgets_even(problems, slots):
    tests = first_choice(problems, slots, max(16 * slots, problems))
    assert len(tests) == problems
    assert tests.min() == tests.max()
    assert 8 * min(slots, problems) <= tests.sum() < 8 * slots + problems + 1


def test_without_a_bound_a_problem_gets_its_whole_budget_at_once():
    assert first_choice(10, 4, UNLIMITED).tolist() == [50] * 10

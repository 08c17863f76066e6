"""Steps of a static policy in a bounded window, and the price of a test."""

import numpy as np
import pytest

from testbudget.scheduler.core.events import Cap, RunStarted
from testbudget.scheduler.core.planner import UNLIMITED, Planner
from testbudget.scheduler.core.problems import ProblemTable

from .commands import Doubtful, Equal


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


def test_problems_that_are_told_early_do_not_take_what_others_could_use_better():
    problems = 40
    started = RunStarted(
        problems=problems, seed=0, cap=Cap({"tests": 80}), max_tests=np.full(problems, 100),
        min_tests=0, window=1000, quantum=4,
    )  # fmt: skip
    table, policy = ProblemTable(started), Doubtful(problems)
    table.busy[:], table.prepared[:] = False, True
    planner = Planner(started, table, policy)
    planner.release(table.able())
    first = planner.choose(80, 1000, idle=True)
    table.granted[first.problems] += first.tests
    table.busy[first.problems] = True
    assert table.granted.tolist() == [1] * problems
    early = np.arange(5)
    policy.observe(early, np.ones(5, np.int64), *np.array([[0.0, 0.0, 0.0, 0.0, 1.0]] * 2))
    table.busy[early] = False
    planner.release(early)
    second = planner.choose(40, 960, idle=False)
    assert second.problems.tolist() == [4]  # the others are nearly sure: 40 tests are left for 40 problems

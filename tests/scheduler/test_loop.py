"""The loop on the recorded back end: caps, rounds, and resuming after a cut anywhere."""

from contextlib import suppress

import numpy as np
import pytest

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.registry import create_policy
from testbudget.rewards.problem import NOT_RUN
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assessment import EliminationRule
from testbudget.scheduler.backends.base import Generated
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.budget import Budget, Cap
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.loop import Loop
from testbudget.traces.records import TestStatus

from .recorded_loop import AVAILABLE, CutOffError, Run, many_tests


def test_uniform_spends_the_whole_cap_evenly(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=15)
    assert run.part().tests == 15
    assert run.tests() == [3] * 5


def test_a_cap_of_one_test_grants_one_test(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=1)
    assert run.part().tests == 1
    assert sorted(run.tests()) == [0, 0, 0, 0, 1]


def test_a_cap_of_the_minimum_grants_the_minimum(recorded, tmp_path):
    run = Run(recorded, tmp_path, policy="greedy", min_tests=2, tests=10)
    run.part()
    assert run.tests() == [2] * 5


def test_a_cap_above_all_tests_grants_all_of_them(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=1000)
    assert run.part().tests == AVAILABLE * 5
    assert run.tests() == [AVAILABLE] * 5


def test_unusable_and_duplicate_tests_are_charged_but_do_not_vote(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=40)
    cost = run.part()
    for _, statuses, scores in run.seen().values():
        assert list(statuses.values()).count(TestStatus.UNUSABLE) == 1
        assert list(statuses.values()).count(TestStatus.DUPLICATE) == 1
        assert max(scores) == 6
    assert cost.tokens == 5 * sum(40 + index for index in range(AVAILABLE))
    # Two of the five candidates are the same program, which runs once.
    assert cost.executions == 5 * 6 * 4


@pytest.mark.parametrize(
    "limits",
    [
        {"tokens": 700},
        {"executions": 50},
        {"cpu_seconds": 0.05},
        {"gpu_seconds": 5.0},
        {"tests": 20, "tokens": 800, "executions": 70},
    ],
)
@pytest.mark.parametrize("policy", ["uniform", "greedy"])
def test_any_cap_holds_and_is_used_until_no_further_test_fits(recorded, tmp_path, policy, limits):
    run = Run(recorded, tmp_path, policy=policy, **limits)
    cost = run.part()
    for dimension, limit in limits.items():
        assert getattr(cost, dimension) <= limit + 1e-9
    max_cost = {"tests": 1, "tokens": 47, "executions": 4, "cpu_seconds": 0.004, "gpu_seconds": 0.5}
    assert any(limit - getattr(cost, d) < max_cost[d] for d, limit in limits.items())


@pytest.mark.parametrize("policy", ["uniform", "greedy"])
@pytest.mark.parametrize("limits", [{"tests": 23}, {"tokens": 900}])
def test_a_run_cut_off_anywhere_ends_as_one_that_was_not(recorded, tmp_path, policy, limits):
    whole = Run(recorded, tmp_path, policy=policy, **limits)
    cost = whole.part()
    for results in range(1, 9):
        folder = tmp_path / str(results)
        folder.mkdir()
        cut = Run(recorded, folder, policy=policy, **limits)
        with pytest.raises(CutOffError):
            cut.part(results)
        with suppress(CutOffError):  # the second part may come to the end
            cut.part(2)
        assert cut.part() == cost
        assert cut.seen() == whole.seen()


def test_a_finished_run_that_is_resumed_grants_nothing_more(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=12)
    assert run.part() == run.part()


def test_every_task_is_logged_before_its_tests_are_generated(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=12)
    logged = []

    class Watched(RecordedBackend):
        def wait(self):
            results = super().wait()
            logged.extend(
                result.task.requests[-1].index < event_log.granted(result.task.problem)
                for result in results
                if isinstance(result, Generated)
            )
            return results

    with EventLog(run.path) as event_log:
        policy = create_policy("uniform", 5, max_tests=AVAILABLE)
        backend = Watched(run.trace, run.problems)
        budget = Budget(Cap({"tests": 12}))
        Loop(run.items, policy, budget, event_log, backend, UnitTestGenerator(None, seed=0)).run()
    assert logged
    assert all(logged)


def test_a_cap_that_counts_unequal_prices_does_not_favour_the_first_problems(recorded, tmp_path):
    run = Run(recorded, tmp_path, executions=4 * 5 * 2)
    run.part()
    assert max(run.tests()) - min(run.tests()) <= 1


RULE = EliminationRule(Majority(), z=1.65)


def test_an_eliminated_program_is_neither_run_nor_charged_and_the_pick_is_the_same(recorded, tmp_path):
    every, eliminated = (
        many_tests(recorded, tmp_path / "every"),
        many_tests(recorded, tmp_path / "eliminated", RULE),
    )
    whole, less = every.part(), eliminated.part()
    assert whole.tests == less.tests == 20 * 5
    for problem, verdicts in eliminated.verdicts().items():
        run, expected = verdicts != NOT_RUN, every.verdicts()[problem]
        assert run[:5].all()
        # The second and the fourth program are wrong and are eliminated after five tests. The third has the
        # outputs of the first, which represents it from the sixteenth test on.
        assert run[5:16].tolist() == [[True, False, True, False]] * 11
        assert run[16:].tolist() == [[True, False, False, False]] * 4
        assert (verdicts[run] == expected[run]).all()
    assert whole.executions == 5 * 20 * 4
    assert less.executions == 5 * (5 * 4 + 11 * 2 + 4)
    for seen, expected in zip(eliminated.evidence(), every.evidence(), strict=True):
        np.testing.assert_array_equal(Majority().winners(seen), Majority().winners(expected))


def test_a_cap_on_executions_grants_more_tests_with_elimination(recorded, tmp_path):
    caps = {"executions": 250}
    every = many_tests(recorded, tmp_path / "every", **caps)
    eliminated = many_tests(recorded, tmp_path / "eliminated", RULE, **caps)
    assert every.part().executions <= 250
    assert eliminated.part().executions <= 250
    assert sum(eliminated.tests()) > sum(every.tests())


@pytest.mark.parametrize("rule", ["majority", "auto"])
@pytest.mark.parametrize("limits", [{"tests": 100}, {"executions": 250}])
def test_a_run_with_elimination_cut_off_anywhere_ends_as_one_that_was_not(recorded, tmp_path, limits, rule):
    elimination = EliminationRule(selection_rule(rule), z=1.65)
    whole = many_tests(recorded, tmp_path / "whole", elimination, **limits)
    cost = whole.part()
    for results in range(1, 20, 3):
        cut = many_tests(recorded, tmp_path / str(results), elimination, **limits)
        with pytest.raises(CutOffError):
            cut.part(results)
        assert cut.part() == cost
        assert cut.seen() == whole.seen()
        for problem, verdicts in whole.verdicts().items():
            np.testing.assert_array_equal(cut.verdicts()[problem], verdicts)


def test_recorded_outputs_come_back_with_the_verdicts(recorded, tmp_path):
    run = Run(recorded, tmp_path, tests=40)
    run.part()
    for problem, recorded_outputs in run.recorded_outputs().items():
        expected = run.outputs_by_problem[problem]
        assert recorded_outputs.inputs == expected.inputs
        assert examples(recorded_outputs) == examples(expected)


def test_a_problem_is_closed_by_the_cap_or_by_its_maximum(recorded, tmp_path):
    for limits, reason in (({"tests": 12}, "cap"), ({"tests": 1000}, "max_tests")):
        folder = tmp_path / reason
        folder.mkdir()
        run = Run(recorded, folder, **limits)
        run.part()
        assert run.closed_because == [reason] * 5


def examples(recorded_outputs):
    return [
        [recorded_outputs.outputs[output].example for output in row] for row in recorded_outputs.results
    ]

"""Trials of ground truths in sandboxes of this machine; a run's own back end is tested with its prompts."""

from testbudget.executors.execution.limits import TestLimits
from testbudget.rewards.problem import GroundTruth, Problem, TestKind
from testbudget.scheduler.ground_truth_checks import ground_truth_faults
from testbudget.scheduler.truth_trials import trials_in_sandboxes


def test_problems_are_checked_without_a_job():
    tests = {"right": "assert f(1) == 2", "weak": "assert f(1) is None", "wrong": "assert f(1) == 3"}
    problems = [
        Problem(
            name,
            "Add one.",
            "f",
            ground_truth=GroundTruth(TestKind.ASSERT, (test,)),
            reference="def f(x):\n    return x + 1\n",
        )
        for name, test in tests.items()
    ]
    faults = ground_truth_faults(problems, trials_in_sandboxes(TestLimits(), runners=1))
    assert [fault.problem for fault in faults] == ["weak", "wrong"]

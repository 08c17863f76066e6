"""Ground truths that cannot judge candidates are refused by name, and all honest forms are not."""

from dataclasses import replace

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.comparison import Comparison, TextComparison
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import GroundTruth, Problem, TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase
from testbudget.scheduler.ground_truth_checks import (
    check_ground_truths,
    ground_truth_faults,
    stub_of,
)

RIGHT = "def double(x):\n    return 2 * x\n"
CHECK = "def check(candidate):\n    assert candidate(2) == 4\n"
UNITTEST = (
    "import unittest\n\n\nclass TestDouble(unittest.TestCase):\n"
    "    def test_two(self):\n        self.assertEqual(double(2), 4)\n"
)
PYTEST = (
    "import pytest\n\n\n@pytest.mark.parametrize('x', [1, 2])\n"
    "def test_it(x):\n    assert double(x) == 2 * x\n"
)


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits()) as opened:
        yield opened


@pytest.fixture(scope="module")
def run_trials(runner):
    def run(trials):
        for trial in trials:
            truth = trial.problem.ground_truth
            tests = [
                UnitTest("", number, truth.tests[at], kind=truth.kind)
                for number, at in enumerate(trial.tests)
            ]
            yield trial, runner.run([trial.program], tests, trial.problem.entry_point)

    return run


def problem(kind, *tests, entry_point="double", **fields):
    return Problem("p/1", "Double a number.", entry_point, ground_truth=GroundTruth(kind, tests), **fields)


GOOD = {
    "asserts": (TestKind.ASSERT, "assert double(2) == 4\n"),
    "a list of asserts": (TestKind.ASSERT, "assert double(2) == 4", "assert double(0) == 0"),
    "check that is called": (TestKind.CHECK, CHECK + "\ncheck(double)\n"),
    "check that is not called": (TestKind.CHECK, CHECK),
    "check as a program that calls it": (TestKind.ASSERT, CHECK + "\ncheck(double)\n"),
    "unittest": (TestKind.UNITTEST, UNITTEST),
    "unittest with its runner": (
        TestKind.UNITTEST,
        f"{UNITTEST}\n\nif __name__ == '__main__':\n    unittest.main()\n",
    ),
    "pytest": (TestKind.PYTEST, PYTEST),
    "pytest class": (
        TestKind.PYTEST,
        "class TestDouble:\n    def test_two(self):\n        assert double(2) == 4\n",
    ),
}


@pytest.mark.parametrize("form", GOOD)
def test_each_form_tells_right_from_wrong_and_is_not_refused(form, runner, run_trials):
    kind, *tests = GOOD[form]
    judged = problem(kind, *tests, reference=RIGHT)
    assert ground_truth_faults([judged], run_trials) == []
    unit_tests = [UnitTest("", number, test, kind=kind) for number, test in enumerate(tests)]
    block = runner.run([RIGHT, RIGHT.replace("2", "3")], unit_tests, "double")
    assert (block.verdicts == Verdict.PASSED).all(axis=1).tolist() == [True, False]


BAD = {
    "does not parse: invalid syntax on line 1": (TestKind.ASSERT, "assert double(2) ="),
    "does not parse: test 2 of it": (TestKind.ASSERT, "assert double(2) == 4", "assert (double(2) == 4"),
    "runs no assertion": (TestKind.ASSERT, "double(2)"),
    "never calls the candidate (an empty check)": (
        TestKind.CHECK,
        CHECK.replace("assert candidate(2) == 4", "fail = 1"),
    ),
    "never calls the candidate (a check that returns before)": (
        TestKind.CHECK,
        CHECK.replace("assert", "return\n    assert"),
    ),
    "never calls the candidate": (TestKind.ASSERT, "def f(x):\n    return x\nassert f(2) == 2"),
    "never calls the candidate (a check that ignores it)": (
        TestKind.CHECK,
        CHECK.replace("candidate(2)", "(4)"),
    ),
    "is passed by a stub of double that does nothing": (TestKind.ASSERT, "assert double(2) is None"),
    "is passed by a stub of double that does nothing (all of many)": (
        TestKind.ASSERT,
        *["assert double(2) != 5"] * 12,
    ),
    "needs the module nowhere, which the sandbox lacks": (
        TestKind.ASSERT,
        "import nowhere\nassert double(2) == 4",
    ),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_ground_truth_that_cannot_judge_is_refused_with_the_reason(reason, run_trials):
    kind, *tests = BAD[reason]
    (fault,) = ground_truth_faults([problem(kind, *tests)], run_trials)
    assert fault.problem == "p/1"
    assert fault.reason.startswith(reason.partition(" (")[0])


def test_one_test_of_many_that_a_stub_fails_is_enough(run_trials):
    tests = [*["assert double(2) != 5"] * 11, "assert double(2) == 4"]
    assert ground_truth_faults([problem(TestKind.ASSERT, *tests)], run_trials) == []


def test_the_identity_is_no_stub(run_trials):
    assert ground_truth_faults([problem(TestKind.ASSERT, "assert double(0) == 0")], run_trials) == []


def test_a_failed_reference_is_told_with_the_test_and_the_verdict(run_trials):
    tests = ("assert double(2) == 4", "assert double(3) == 7")
    (fault,) = ground_truth_faults([problem(TestKind.ASSERT, *tests, reference=RIGHT)], run_trials)
    assert fault.reason == (
        "is not passed by the row's own solution "
        "(test 2 of it: failed, The assertion on line 1 does not hold)"
    )


def test_an_unconfirmed_reference_is_told_with_the_remedy(run_trials):
    own = "class Own:\n    def __eq__(self, other):\n        return True\n\n\n"
    own += "def double(x):\n    return Own()\n"
    judged = problem(TestKind.ASSERT, "assert double(2) == 4", reference=own)
    (fault,) = ground_truth_faults([judged], run_trials)
    assert "unconfirmed, which execution.trust honest would count" in fault.reason


@pytest.mark.parametrize(
    ("entry_point", "prompt", "test"),
    [
        ("Stack", "class Stack:\n    pass\n", "s = Stack()\ns.push(1)\nassert s.pop() == 1"),
        ("Solution.double", "", "assert Solution().double(2) == 4"),
        ("Solution().double", "", "assert Solution().double(2) == 4"),
    ],
)
def test_classes_have_stubs_that_fail_an_honest_test(entry_point, prompt, test, run_trials):
    judged = replace(problem(TestKind.ASSERT, test, entry_point=entry_point), prompt=prompt)
    assert ground_truth_faults([judged], run_trials) == []
    weak = test.rpartition("==")[0] + "is None"
    judged = replace(judged, ground_truth=GroundTruth(TestKind.ASSERT, (weak,)))
    (fault,) = ground_truth_faults([judged], run_trials)
    assert "that does nothing" in fault.reason


CASE = StdinCase("2\n", "4\n").as_text()


@pytest.mark.parametrize(
    ("tests", "fields", "reason"),
    [
        ((CASE,), {}, None),
        ((StdinCase("2\n", "\n").as_text(),), {}, "is passed by a program that prints nothing"),
        ((StdinCase("2\n", "\n").as_text(), CASE), {}, None),
        (
            (StdinCase("2\n", "\n").as_text(),),
            {"comparison": Comparison(TextComparison.EXACT)},
            None,
        ),
        ((StdinCase("2\n").as_text(),), {}, "holds an input without an expected output"),
        (
            (StdinCase("2\n").as_text(),),
            {"comparison": Comparison(checker="def checker(i, e, a): return a == '4'")},
            None,
        ),
        (("4",), {}, "holds a test that is no input with its output"),
        (
            (CASE,),
            {"entry_point": "double"},
            "reads standard input but the problem has the entry_point double",
        ),
    ],
)
def test_inputs_and_outputs_are_checked_without_being_run(tests, fields, reason):
    judged = problem(TestKind.STDIN, *tests, **{"entry_point": None, **fields})
    run: list[object] = []
    faults = ground_truth_faults([judged], lambda trials: run.extend(trials) or [])
    assert run == []
    assert [fault.reason for fault in faults] == ([] if reason is None else [reason])


def test_code_needs_an_entry_point():
    (fault,) = ground_truth_faults(
        [problem(TestKind.ASSERT, "assert f(1)", entry_point=None)], lambda _: []
    )
    assert fault.reason == "calls the candidate but the problem has no entry_point"


def test_the_error_names_the_first_problems_and_the_setting():
    problems = [replace(problem(TestKind.ASSERT, "x ="), id=f"p/{number}") for number in range(7)]
    with pytest.raises(
        UserError, match=r"of 7 of 7 problems .*p/0: it does not parse.*p/4.*; and 2 more\."
    ):
        check_ground_truths(problems, lambda _: [])


def test_a_problem_without_a_ground_truth_is_not_checked():
    assert ground_truth_faults([Problem("p", "text", "f")], lambda trials: [] if not trials else 1) == []


def test_a_language_without_a_stub_is_run_with_its_reference_only():
    assert stub_of(Problem("p", "", "f", "cobol")) is None
    assert "function f()" in stub_of(Problem("p", "", "f", "javascript"))

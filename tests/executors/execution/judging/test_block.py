"""Verdicts, recorded outputs and costs of a block."""

import json

import numpy as np
import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.outputs import NO_RESULT, CallEnding, RecordedCall
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest, Verdict
from testbudget.rewards.verdict_reason import DetailName

PASSED, FAILED, ERRORED = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED
TIMED_OUT = Verdict.TIMED_OUT

DOUBLE = "def solve(x): return 2 * x"
SQUARE = "def solve(x): return x * x"
ADD = "def solve(x): return x + x"


def asserts(*programs):
    return [
        UnitTest("problem", 10 + index, program, kind=TestKind.ASSERT)
        for index, program in enumerate(programs)
    ]


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=0.4, memory_mib=256)) as runner:
        yield runner


def verdicts(runner, candidates, tests, entry_point="solve"):
    return runner.run(candidates, tests, entry_point).verdicts.tolist()


def outputs(recorded_outputs, candidate):
    return [
        None if result == NO_RESULT else recorded_outputs.outputs[result].example
        for result in recorded_outputs.results[candidate]
    ]


def test_candidates_with_equal_outputs_share_results(runner):
    outcomes = runner.run(
        [DOUBLE, SQUARE, ADD], asserts("assert solve(2) == 4", "assert solve(3) == 6"), "solve"
    )
    recorded_outputs = outcomes.recorded_outputs
    assert outcomes.verdicts.tolist() == [[PASSED, PASSED], [PASSED, FAILED], [PASSED, PASSED]]
    assert [(given.test, given.arguments) for given in recorded_outputs.inputs] == [
        (10, '[[2],{"dict":[]}]'),
        (11, '[[3],{"dict":[]}]'),
    ]
    assert outputs(recorded_outputs, 0) == outputs(recorded_outputs, 2) == ["4", "6"]
    assert outputs(recorded_outputs, 1) == ["4", "9"]


def test_calls_after_a_failed_assertion_are_recorded_as_well(runner):
    test = asserts("assert solve(3) == 6\nassert solve(2) == 4\nassert solve(5) == 10")
    recorded_outputs = runner.run([SQUARE], test, "solve").recorded_outputs
    assert outputs(recorded_outputs, 0) == ["9", "4", "25"]


def test_arguments_are_recorded_as_they_were_before_the_call(runner):
    test = asserts("items = [2, 1]\nsolve(items)\nassert items == [1, 2]")
    outcomes = runner.run(["def solve(items): items.sort()"], test, "solve")
    assert outcomes.verdicts.tolist() == [[PASSED]]
    assert outcomes.recorded_outputs.inputs[0].arguments == '[[[2,1]],{"dict":[]}]'


def test_only_outermost_calls_are_recorded(runner):
    factorial = "def solve(n): return 1 if n == 0 else n * solve(n - 1)"
    recorded_outputs = runner.run([factorial], asserts("assert solve(5) == 120"), "solve").recorded_outputs
    assert outputs(recorded_outputs, 0) == ["120"]


def test_exceptions_are_recorded_by_their_type(runner):
    candidates = ["def solve(x): return x // 0", "class E(Exception): pass\ndef solve(x): raise E"]
    recorded_outputs = runner.run(candidates, asserts("assert solve(1)"), "solve").recorded_outputs
    assert [recorded_outputs.outputs[result].ending for result in recorded_outputs.results[:, 0]] == [
        CallEnding.RAISED
    ] * 2
    assert [outputs(recorded_outputs, candidate) for candidate in (0, 1)] == [
        ["ZeroDivisionError"],
        ["solution.E"],
    ]


def test_nothing_is_recorded_unless_asked_for(runner):
    outcomes = runner.run([DOUBLE], asserts("assert solve(2) == 4"), "solve", record=False)
    assert outcomes.recorded_outputs is None
    assert outcomes.verdicts.tolist() == [[PASSED]]


def test_only_wanted_pairs_are_run(runner):
    wanted = np.array([[True, False], [False, True]])
    tests = asserts("assert solve(2) == 4", "assert solve(3) == 6")
    outcomes = runner.run([DOUBLE, SQUARE], tests, "solve", wanted=wanted)
    assert outcomes.verdicts.tolist() == [[PASSED, NOT_RUN], [NOT_RUN, FAILED]]
    assert (outcomes.cpu_seconds > 0).tolist() == wanted.tolist()
    assert (outcomes.recorded_outputs.results == NO_RESULT).sum() == 2


def test_a_block_without_wanted_pairs_runs_nothing(runner):
    outcomes = runner.run([DOUBLE], asserts("assert solve(2) == 4"), wanted=np.zeros((1, 1), np.bool_))
    assert outcomes.verdicts.tolist() == [[NOT_RUN]]
    assert outcomes.recorded_outputs.inputs == ()


def test_calls_can_be_made_without_tests(runner):
    taken = runner.run([DOUBLE], asserts("assert solve(2) == 4"), "solve").recorded_outputs.inputs
    own = RecordedCall(None, "solve", json.dumps([[[1, "x"]], {"dict": []}]), 7)
    loop = "def solve(x):\n    while x == 2: pass\n    return len(x)"
    recorded_outputs, cpu_seconds = runner.call([DOUBLE, loop, "("], [*taken, own])
    assert [given.test for given in recorded_outputs.inputs] == [None, None]
    assert outputs(recorded_outputs, 0) == ["4", "[1, 'x', 1, 'x']"]
    assert recorded_outputs.outputs[recorded_outputs.results[1, 0]].ending is CallEnding.TIMED_OUT
    assert outputs(recorded_outputs, 1)[1] == "2"
    assert recorded_outputs.results[2].tolist() == [NO_RESULT, NO_RESULT]
    assert 0.4 <= cpu_seconds[1, 0] < 1
    assert (cpu_seconds[2] == 0).all()


def test_calls_are_not_made_after_too_many_timeouts(runner):
    taken = runner.run([DOUBLE], asserts(*(f"assert solve({x}) == {2 * x}" for x in range(5))), "solve")
    recorded_outputs, cpu_seconds = runner.call([LOOP], taken.recorded_outputs.inputs)
    assert (recorded_outputs.results[0] == NO_RESULT).tolist() == [False] * 3 + [True] * 2
    assert (cpu_seconds[0] > 0).tolist() == [True] * 3 + [False] * 2


def test_without_an_entry_point_a_candidate_must_define_what_a_test_calls(runner):
    tests = asserts("assert first(1) == second(1)", "assert first(1) == 1")
    candidates = ["def first(x): return x\ndef second(x): return x", "def first(x): return x"]
    assert verdicts(runner, candidates, tests, None) == [[PASSED, PASSED], [ERRORED, PASSED]]


def test_a_test_whose_next_call_depends_on_the_last_result_is_judged_in_a_separate_process(runner):
    test = asserts("x = 1\nfor _ in range(5):\n    x = solve(x)\nassert x == 32")
    outcomes = runner.run([DOUBLE, SQUARE], test, "solve")
    assert outcomes.verdicts.tolist() == [[PASSED], [FAILED]]
    assert not outcomes.same_process.any()


def test_a_test_with_too_many_rounds_of_calls_is_judged_through_pipes(runner):
    test = asserts("x = 1\nfor _ in range(50):\n    x = solve(x)\nassert x == 2**50")
    outcomes = runner.run([DOUBLE], test, "solve")
    assert outcomes.verdicts.tolist() == [[PASSED]]
    assert not outcomes.same_process.any()


def test_a_loop_in_a_call_that_a_test_does_not_need_changes_no_verdict(runner):
    loops_on_two = "def solve(x):\n    while x == 2: pass\n    return 0"
    tests = asserts(
        "assert solve(1) == 1\nassert solve(2) == 2", "assert solve(2) == 2", "assert solve(3) == 0"
    )
    assert verdicts(runner, [loops_on_two], tests) == [[FAILED, TIMED_OUT, PASSED]]


def test_a_result_that_is_not_plain_data_is_judged_through_pipes(runner):
    candidate = "class P:\n    def __init__(self, x): self.x = x\ndef solve(x): return P(x)"
    outcomes = runner.run([candidate], asserts("assert solve(2).x == 2", "assert solve(2).x == 3"), "solve")
    assert outcomes.verdicts.tolist() == [[PASSED, FAILED]]


def test_equal_candidates_are_run_once_and_share_their_verdicts(runner):
    outcomes = runner.run([DOUBLE, SQUARE, DOUBLE], asserts("assert solve(3) == 6"), "solve")
    assert outcomes.verdicts.tolist() == [[PASSED], [FAILED], [PASSED]]
    assert outputs(outcomes.recorded_outputs, 0) == outputs(outcomes.recorded_outputs, 2) == ["6"]
    assert (outcomes.cpu_seconds > 0).tolist() == [[True], [True], [False]]


def test_every_pair_has_a_reason(runner):
    wanted = np.ones((4, 2), np.bool_)
    wanted[0, 1] = False
    candidates = [DOUBLE, "(", "def other(): pass", "def solve(x):\n    while True: pass"]
    outcomes = runner.run(candidates, asserts("assert solve(3) == 7", "("), "solve", wanted=wanted)
    sentences = [[outcomes.reasons[number].sentence for number in row] for row in outcomes.reason_of]
    assert sentences == [
        ["The assertion on line 1 does not hold.", "The pair was not wanted."],
        ["The candidate does not compile.", "The candidate does not compile."],
        ["The candidate does not define solve.", "The test does not compile."],
        ["The test reached its limit of CPU time.", "The test does not compile."],
    ]
    assert outcomes.reasons[outcomes.reason_of[3, 0]].detail == {DetailName.LIMIT: "0.4 s of CPU time"}


SLOW = "def solve(x):\n    for _ in range(5 * 10**6): pass\n    return 2 * x"
LOOP = "def solve(x):\n    while True: pass"


def test_a_loop_that_cannot_change_who_leads_is_cut_off(runner):
    tests = asserts("assert solve(2) == 4", "assert solve(3) == 6")
    outcomes = runner.run(
        [DOUBLE, LOOP, SQUARE], tests, "solve", settle=False, standing=np.array([1, 0, 0])
    )
    assert outcomes.verdicts.tolist() == [[PASSED, PASSED], [TIMED_OUT, TIMED_OUT], [PASSED, FAILED]]
    assert (outcomes.cut_at > 0).tolist() == [[False, False], [True, True], [False, False]]
    assert outcomes.cpu_seconds[1].max() < 0.2
    reason = outcomes.reasons[outcomes.reason_of[1, 0]]
    assert reason.sentence.startswith("The test was cut off early")


def test_a_slow_candidate_that_can_lead_is_run_to_its_full_limit(runner):
    tests = asserts("assert solve(2) == 4", "assert solve(3) == 6")
    outcomes = runner.run([DOUBLE, SLOW], tests, "solve", settle=False)
    assert outcomes.verdicts.tolist() == [[PASSED, PASSED], [PASSED, PASSED]]
    assert not outcomes.cut_at.any()


def test_every_pair_reaches_its_full_limit_if_all_are_wanted(runner):
    tests = asserts("assert solve(2) == 4", "assert solve(3) == 6")
    outcomes = runner.run([LOOP, SLOW, DOUBLE], tests, "solve", standing=np.array([0, 0, 9]))
    assert outcomes.verdicts.tolist() == [[TIMED_OUT] * 2, [PASSED] * 2, [PASSED] * 2]
    assert outcomes.cpu_seconds[0].min() >= 0.4
    assert not outcomes.cut_at.any()


def test_slow_candidates_are_settled_even_if_too_many_of_them_were_stopped(runner):
    slow = [SLOW.replace("2 * x", f"2 * x + {number} * 0") for number in range(7)]
    outcomes = runner.run(slow, asserts("assert solve(2) == 4"), "solve")
    assert outcomes.verdicts.tolist() == [[PASSED]] * 7


def test_candidates_do_not_influence_each_other(runner):
    disturbing = [
        "import sys\nsys.setrecursionlimit(60)\ndef solve(x): return 0",
        "def solve(x): return [0] * 10**9",
        "def solve(x): exit()",
        "def solve(x):\n    while True: pass",
        "import random\nrandom.seed(5)\ndef solve(x): return 0",
        "def solve(x): return solve(x)",
        "raise SystemExit",
        "class solve(int):\n    def __new__(cls, x): raise MemoryError",
    ]
    steady = (
        "import random, sys\nfirst = random.random()\ndef deep(n): return n and 1 + deep(n - 1)\n"
        "def solve(x): return 2 * x if first == random.Random(0).random() and deep(800) == 800 else None"
    )
    candidates = [program for bad in disturbing for program in (bad, steady)]
    found = verdicts(runner, candidates, asserts("assert solve(2) == 4", "assert solve(3) == 6"))
    assert found[1::2] == [[PASSED, PASSED]] * len(disturbing)
    assert PASSED not in {verdict for row in found[::2] for verdict in row}


def test_cpu_seconds_are_charged_to_the_pair_that_used_them(runner):
    busy = "def solve(x):\n    for _ in range(10**6): pass\n    return 2 * x"
    loop = "def solve(x):\n    while True: pass"
    seconds = runner.run([DOUBLE, busy, loop, ADD], asserts("assert solve(2) == 4"), "solve").cpu_seconds[
        :, 0
    ]
    assert seconds.argsort()[-2:].tolist() == [1, 2]
    assert seconds[2] >= 0.4
    assert seconds[[0, 3]].max() < seconds[1]


def test_wall_seconds_include_calls_that_were_cut_off(runner):
    loop = "def solve(x):\n    while True: pass"
    outcomes = runner.run([DOUBLE, loop], asserts("assert solve(2) == 4"), "solve")
    assert outcomes.wall_seconds[1, 0] >= 0.4
    assert 0 < outcomes.wall_seconds[0, 0] < 0.4


@pytest.mark.parametrize(
    ("candidate", "test", "verdict"),
    [
        ("def solve(rows): return rows[0]", "rows = [[1]]\nassert solve(rows) is rows[0]", PASSED),
        (
            "def solve(n): return [[0] * n] * n",
            "grid = solve(2)\ngrid[0][0] = 1\nassert grid[1][0] == 0",
            FAILED,
        ),
        (
            "kept = []\ndef solve(x):\n    kept.append(x)\n    return kept[0][0]",
            "x = [1]\nsolve(x)\nx[0] = 2\nassert solve([3]) == 1",
            FAILED,
        ),
        (
            "def solve(x):\n    x.append(1)\n    return x",
            "x = []\nassert solve(x) is x and x == [1]",
            PASSED,
        ),
    ],
)
def test_identity_of_results_is_as_in_the_same_process(runner, candidate, test, verdict):
    assert verdicts(runner, [candidate], asserts(test)) == [[verdict]]

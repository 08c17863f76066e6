"""Verdicts on generated programs and on sequences of tests, in addition to the corpus."""

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

CORRECT = "def solve():\n    return 42\n"
EXPECTS_42 = """
import unittest
class TestSolve(unittest.TestCase):
    def test_answer(self):
        self.assertEqual(solve(), 42)
"""
PASSED, FAILED, ERRORED = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED
TIMED_OUT, KILLED = Verdict.TIMED_OUT, Verdict.KILLED


def unit_test(code, kind=TestKind.UNITTEST):
    return UnitTest("problem", 0, code, kind=kind)


PROGRAMS = {
    "too many brackets": "(" * 100_000,
    "too deep for the compiler": "x = " + "-" * 1_000_000 + "1",
    "a very long line": "def solve(): return " + " + ".join(["1"] * 20_000),
    "no text at all": "",
    "nothing but comments": "# solve\n" * 1000,
    "a text that no encoding holds": "def solve(): return '\ud800'",
}


@pytest.mark.parametrize("candidate", PROGRAMS.values(), ids=PROGRAMS)
def test_a_strange_candidate_does_not_pass(runner, candidate):
    verdicts = runner.run([candidate, CORRECT], [unit_test(EXPECTS_42)], "solve").verdicts
    assert verdicts[0, 0] != PASSED
    assert verdicts[1, 0] == PASSED


def test_a_sleeping_candidate_is_timed_out_by_wall_time():
    idle = "import time\ndef solve(): time.sleep(1000)"
    with Runner(TestLimits(wall_seconds=0.5)) as runner:
        result = runner.run([idle], [unit_test(EXPECTS_42)] * 2, "solve")
    assert result.verdicts.tolist() == [[TIMED_OUT] * 2]
    assert result.cpu_seconds.max() < 0.5


def test_tests_after_the_end_of_a_process_are_run(runner):
    candidate = (
        "import os\n"
        "def solve(how):\n"
        "    if how == 'loop':\n"
        "        while True: pass\n"
        "    os._exit(0) if how == 'exit' else None\n"
        "    return how"
    )
    programs = [
        f"assert solve({how!r}) == 'fine'" for how in ("fine", "loop", "fine", "exit", "wrong", "fine")
    ]
    result = runner.run([candidate], [unit_test(p, TestKind.ASSERT) for p in programs], "solve")
    assert result.verdicts[0].tolist() == [PASSED, TIMED_OUT, PASSED, KILLED, FAILED, PASSED]


def test_a_test_that_does_not_compile_does_not_affect_the_others(runner):
    tests = [
        unit_test(EXPECTS_42),
        unit_test("("),
        unit_test(PROGRAMS["too deep for the compiler"]),
        unit_test(EXPECTS_42),
    ]
    result = runner.run([CORRECT, "def solve(): return 1"], tests, "solve")
    assert result.verdicts.tolist() == [
        [PASSED, ERRORED, ERRORED, PASSED],
        [FAILED, ERRORED, ERRORED, FAILED],
    ]

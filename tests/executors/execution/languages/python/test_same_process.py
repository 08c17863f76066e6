"""Objects of trusted candidates, judged in the process of the candidate."""

import pytest

from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

PASSED, FAILED = Verdict.PASSED, Verdict.FAILED

DISTANCE = """
class Distance:
    def __init__(self, metres): self.metres = metres
    def __eq__(self, other): return self.metres * 100 == other
"""
CASES = {
    "an operator that agrees with plain data": (DISTANCE, "assert Distance(3) == 300", PASSED),
    "an operator that does not": (DISTANCE, "assert Distance(3) == 301", FAILED),
    "text that the test interprets": (
        "def solve(): return 'x = 1'",
        "names = {}\nexec(solve(), names)\nassert names['x'] == 1",
        PASSED,
    ),
    "names that both define": (
        DISTANCE + "LIMIT = 10\ndef solve(x): return Distance(min(x, LIMIT))",
        "LIMIT = 5\nassert solve(7) == 700",
        PASSED,
    ),
}


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=0.4, memory_mib=256), trust=Trust.HONEST) as runner:
        yield runner


@pytest.mark.parametrize(("candidate", "test", "verdict"), CASES.values(), ids=CASES)
def test_a_trusted_candidate_is_believed(runner, candidate, test, verdict):
    outcomes = runner.run([candidate], [UnitTest("problem", 0, test, kind=TestKind.ASSERT)])
    assert outcomes.verdicts.tolist() == [[verdict]]
    assert outcomes.same_process.tolist() == [[True]] or verdict is FAILED

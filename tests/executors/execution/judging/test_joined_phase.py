"""Candidate and test in one program: believed of trusted candidates alone."""

import pytest

from testbudget.executors.execution.languages.registry import BUILT_IN
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

HEAD = "#include <assert.h>\n#include <stdlib.h>\n"
RIGHT = f"{HEAD}long f(long x) {{\n    return 2 * x;\n}}\n"
CUT_OFF = RIGHT.removesuffix("}\n")
WRONG = RIGHT.replace("2 * x", "3 * x")
FORGED = RIGHT.replace("return 2 * x", "exit(0)")
BROKEN = RIGHT.replace("2 * x", "y")
TEST = "}\nint main(void) {\n    assert(f(2) == 4);\n}\n"
TESTS = [
    UnitTest("", 0, TEST, kind=TestKind.ASSERT),
    UnitTest("", 1, "int main(void) { for (;;); }", kind=TestKind.ASSERT),
]


@pytest.mark.parametrize("trust", Trust)
def test_exit_status_0_counts_for_trusted_candidates_alone(trust):
    if missing := BUILT_IN["c"].what_is_missing():
        pytest.skip(missing)
    with Runner(TestLimits(cpu_seconds=0.5), language="c", trust=trust) as runner:
        block = runner.run([RIGHT, CUT_OFF, WRONG, FORGED, BROKEN], TESTS, "f")
    passed = Verdict.PASSED if trust is Trust.HONEST else Verdict.UNCONFIRMED
    expected = [passed, passed, Verdict.FAILED, passed, Verdict.COMPILE_ERROR]
    assert block.verdicts[:, 0].tolist() == expected
    assert block.same_process[:4, 0].all()
    assert {*block.verdicts[[0, 2, 3], 1].tolist()} == {Verdict.TIMED_OUT}
    forged = block.reasons[block.reason_of[3, 0]].sentence
    assert "exit status 0" in forged


def test_other_kinds_of_tests_are_refused():
    if missing := BUILT_IN["c"].what_is_missing():
        pytest.skip(missing)
    with Runner(language="c") as runner, pytest.raises(UserError, match="must be of kind stdin or assert"):
        runner.run([RIGHT], [UnitTest("", 0, TEST, kind=TestKind.PYTEST)], "f")

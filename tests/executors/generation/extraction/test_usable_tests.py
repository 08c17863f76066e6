"""Tests that can judge nothing are found before anything runs, and none that the judge would count."""

import pytest

from testbudget import Verdict, judge
from testbudget.executors.generation.extraction.usable_tests import reason_to_reject
from testbudget.rewards.problem import TestKind

USABLE = [
    "assert f(1) == 2",
    "if f(1) != 2:\n    raise ValueError",
    "if f(1) != 2:\n    exit(1)",
    "def same(a, b):\n    assert a == b\nsame(f(1), 2)",
    "from numpy.testing import assert_equal as same\nsame(f(1), 2)",
    "try:\n    f('a')\nexcept TypeError:\n    pass\nelse:\n    raise ValueError",
]
USELESS = {
    "f(1)": "asserts nothing",
    "print(f(1) == 2)": "asserts nothing",
    "assert f(1": "does not parse",
    "assert 1 + 1 == 2": "never uses the entry point",
}


def test_the_judge_and_the_reading_agree_on_what_can_be_passed():
    read = [reason_to_reject(code, TestKind.ASSERT, "python", "f") for code in [*USABLE, *USELESS]]
    assert read == [None] * len(USABLE) + [*USELESS.values()]
    judged = judge(["def f(x): return x + 1"], [*USABLE, *USELESS])
    assert [verdict == Verdict.PASSED for verdict in judged.verdicts[0]] == [
        reason is None for reason in read
    ]


@pytest.mark.parametrize(
    ("code", "kind", "language", "entry_point"),
    [
        ("def check(candidate):\n    assert candidate(1) == 2", TestKind.CHECK, "python", "f"),
        ("assert anything(1)", TestKind.ASSERT, "python", None),
        ("assert Solution().twoSum([1], 2)", TestKind.ASSERT, "python", "Solution.twoSum"),
        ("if (f(1) !== 2) throw new Error()", TestKind.ASSERT, "javascript", "f"),
        ('{"stdin": "1"}', TestKind.STDIN, "python", None),
    ],
)
def test_in_doubt_a_test_is_usable(code, kind, language, entry_point):
    assert reason_to_reject(code, kind, language, entry_point) is None

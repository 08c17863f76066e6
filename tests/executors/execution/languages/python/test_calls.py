"""Results of calls as a test receives them, in a separate process or in the same process."""

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

PASSED, FAILED = Verdict.PASSED, Verdict.FAILED
KEEPS = """
kept = []
def keep(x):
    kept.append(x)
    return len(kept)
def last():
    return kept[-1]
"""
RECURSES = """
def solve(grid):
    def count(row, column):
        if row == len(grid):
            return 0
        if column == len(grid[row]):
            return count(row + 1, 0)
        return grid[row][column] + count(row, column + 1)
    return count(0, 0)
"""
CASES = {
    "numbers": ("def solve(n): return n + 1", "assert solve(1) == 2; assert solve(2) == 3", PASSED, False),
    "lists": ("def solve(x): return sorted(x)", "assert solve([2, 1]) == [1, 2]", PASSED, False),
    "a changed argument": (
        "def solve(x): x.sort()",
        "x = [2, 1]\nsolve(x)\nassert x == [1, 2]\nsolve(x)\nassert x == [1, 2]",
        PASSED,
        False,
    ),
    "the argument itself": (
        "def solve(x):\n    x.append(1)\n    return x",
        "x = []\nassert solve(x) is x\nassert solve(x) == [1, 1] == x",
        PASSED,
        False,
    ),
    "independent rows": (
        "def solve(n): return [[0] * n for _ in range(n)]",
        "x = solve(2)\nx[0][0] = 1\nassert x[1][0] == 0\nassert solve(1) == [[0]]",
        PASSED,
        False,
    ),
    "rows that are the same list": (
        "def solve(n): return [[0] * n] * n",
        "x = solve(2)\nx[0][0] = 1\nassert x[1][0] == 0",
        FAILED,
        True,
    ),
    "a part of an argument": (
        "def solve(rows): return rows[0]",
        "rows = [[1]]\nassert solve(rows) is rows[0]",
        PASSED,
        True,
    ),
    "an argument within a result": (
        "def solve(x): return [x]",
        "x = [1]\ny = solve(x)\nx.append(2)\nassert y == [[1]]",
        FAILED,
        True,
    ),
    "an argument that is kept": (
        KEEPS,
        "x = [1]\nkeep(x)\nx.append(2)\nassert last() == [1]",
        FAILED,
        True,
    ),
    "a part of an argument that is kept": (
        KEEPS.replace("append(x)", "append(x[0])"),
        "x = [[1]]\nkeep(x)\nx[0].append(2)\nassert last() == [1]",
        FAILED,
        True,
    ),
    "an argument that is kept and not used again": (KEEPS, "assert keep([1]) == 1", PASSED, False),
    "a result that is kept": (
        "kept = []\ndef solve(n):\n    kept.append(n)\n    return kept",
        "x = solve(1)\nsolve(2)\nassert x == [1]",
        FAILED,
        True,
    ),
    "a row that is kept": (
        "kept = []\ndef solve(n):\n    kept.append(n)\n    return [kept]",
        "x = solve(1)\nsolve(2)\nassert x == [[1]]",
        FAILED,
        True,
    ),
    "an argument that only a reference cycle of functions holds": (
        RECURSES,
        "x = [[1, 2], [3]]\nassert solve(x) == 6\nassert solve([[1]]) == 1",
        PASSED,
        False,
    ),
    "math.nan and another not-a-number": (
        "import math\ndef solve(): return [math.nan], float('nan')",
        "import math\nx, y = solve()\nassert x == [math.nan]\nassert [y] != [math.nan]",
        PASSED,
        False,
    ),
    "two arguments that are the same list": (
        "def solve(x, y):\n    x.append(1)\n    return len(y)",
        "x = []\nassert solve(x, x) == 1",
        PASSED,
        True,
    ),
}


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=0.4, memory_mib=256)) as runner:
        yield runner


@pytest.mark.parametrize(("candidate", "test", "verdict", "same_process"), CASES.values(), ids=CASES)
def test_identity_of_arguments_and_results_is_as_in_the_same_process(
    runner, candidate, test, verdict, same_process
):
    tests = [UnitTest("problem", 0, test, kind=TestKind.ASSERT)]
    outcomes = runner.run([candidate], tests)
    assert outcomes.verdicts.tolist() == [[verdict]]
    assert outcomes.same_process.tolist() == [[same_process]]


def test_an_entry_point_may_have_the_name_of_a_builtin(runner):
    tests = [UnitTest("problem", 0, "assert pow(2, 3) == 7", kind=TestKind.ASSERT)]
    outcomes = runner.run(["def pow(x, y): return 7", "def pow(x, y): return x ** y"], tests, "pow")
    assert outcomes.verdicts.tolist() == [[PASSED], [FAILED]]

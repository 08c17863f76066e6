"""Results of calls as a test receives them from another process."""

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
    "numbers": ("def solve(n): return n + 1", "assert solve(1) == 2; assert solve(2) == 3", PASSED),
    "lists": ("def solve(x): return sorted(x)", "assert solve([2, 1]) == [1, 2]", PASSED),
    "a changed argument": (
        "def solve(x): x.sort()",
        "x = [2, 1]\nsolve(x)\nassert x == [1, 2]\nsolve(x)\nassert x == [1, 2]",
        PASSED,
    ),
    "the argument itself": (
        "def solve(x):\n    x.append(1)\n    return x",
        "x = []\nassert solve(x) is x\nassert solve(x) == [1, 1] == x",
        PASSED,
    ),
    "independent rows": (
        "def solve(n): return [[0] * n for _ in range(n)]",
        "x = solve(2)\nx[0][0] = 1\nassert x[1][0] == 0\nassert solve(1) == [[0]]",
        PASSED,
    ),
    "rows that are the same list": (
        "def solve(n): return [[0] * n] * n",
        "x = solve(2)\nx[0][0] = 1\nassert x[1][0] == 0",
        FAILED,
    ),
    "a part of an argument": (
        "def solve(rows): return rows[0]",
        "rows = [[1]]\nassert solve(rows) is rows[0]",
        PASSED,
    ),
    "an argument within a result": (
        "def solve(x): return [x]",
        "x = [1]\ny = solve(x)\nx.append(2)\nassert y == [[1]]",
        FAILED,
    ),
    "an argument that is kept": (
        KEEPS,
        "x = [1]\nkeep(x)\nx.append(2)\nassert last() == [1]",
        FAILED,
    ),
    "a part of an argument that is kept": (
        KEEPS.replace("append(x)", "append(x[0])"),
        "x = [[1]]\nkeep(x)\nx[0].append(2)\nassert last() == [1]",
        FAILED,
    ),
    "an argument that is kept and not used again": (KEEPS, "assert keep([1]) == 1", PASSED),
    "a result that is kept": (
        "kept = []\ndef solve(n):\n    kept.append(n)\n    return kept",
        "x = solve(1)\nsolve(2)\nassert x == [1]",
        FAILED,
    ),
    "a row that is kept": (
        "kept = []\ndef solve(n):\n    kept.append(n)\n    return [kept]",
        "x = solve(1)\nsolve(2)\nassert x == [[1]]",
        FAILED,
    ),
    "an argument that only a reference cycle of functions holds": (
        RECURSES,
        "x = [[1, 2], [3]]\nassert solve(x) == 6\nassert solve([[1]]) == 1",
        PASSED,
    ),
    "math.nan and another not-a-number": (
        "import math\ndef solve(): return [math.nan], float('nan')",
        "import math\nx, y = solve()\nassert x == [math.nan]\nassert [y] != [math.nan]",
        PASSED,
    ),
    "a changed deque": (
        "def solve(q):\n    q.append(4)\n    q.popleft()",
        "from collections import deque\nq = deque([1, 2])\nsolve(q)\nassert list(q) == [2, 4]",
        PASSED,
    ),
    "a changed counter": (
        "def solve(c): c['a'] += 1",
        "from collections import Counter\nc = Counter('ab')\nsolve(c)\nassert c == Counter('aab')",
        PASSED,
    ),
    "a changed bytearray": (
        "def solve(b): b += b'x'",
        "b = bytearray(b'a')\nsolve(b)\nassert b == b'ax'",
        PASSED,
    ),
    "a changed array": (
        "def solve(a): a *= 2",
        "import numpy as np\na = np.array([1, 2])\nsolve(a)\nassert a.tolist() == [2, 4]",
        PASSED,
    ),
    "an array of texts": (
        "import numpy as np\ndef solve(a): return np.array(a)",
        "assert solve(['a', 'bb']).tolist() == ['a', 'bb']",
        PASSED,
    ),
    "a view of an array": (
        "def solve(a): return a[:1]",
        "import numpy as np\na = np.array([1, 2])\nb = solve(a)\nb[0] = 9\nassert a[0] == 9",
        PASSED,
    ),
    "rows in another order": (
        "def solve(rows): rows.reverse()",
        "a, b = [1], [2]\nrows = [a, b]\nsolve(rows)\nassert rows == [[2], [1]]\nassert a == [1]",
        PASSED,
    ),
    "an argument that was changed before an exception": (
        "def solve(x):\n    x.append(1)\n    raise ValueError",
        "x = []\ntry:\n    solve(x)\nexcept ValueError:\n    pass\nassert x == [1]",
        PASSED,
    ),
    "arguments of an exception": (
        "class E(Exception): pass\ndef solve(): raise E('a', 1)",
        "try:\n    solve()\nexcept Exception as e:\n    assert e.args == ('a', 1)\nelse:\n    assert False",
        PASSED,
    ),
    "a pair of surrogates": (
        "def solve(): return chr(0xd83d) + chr(0xde00)",
        "assert len(solve()) == 2",
        PASSED,
    ),
    "a time zone with a name": (
        "from datetime import *\ndef solve(): return time(1, tzinfo=timezone(timedelta(0), 'EST'))",
        "assert solve().tzname() == 'EST'",
        PASSED,
    ),
    "a not-a-number of the test": (
        "def solve(x): return x",
        "nan = float('nan')\nassert solve([nan]) == [nan]",
        PASSED,
    ),
    "a documentation of the function": (
        "def solve():\n    'text'\n    return 1",
        "assert getattr(solve, '__doc__', None) == 'text'\nassert solve() == 1",
        PASSED,
    ),
    "source code": (
        "import inspect\ndef solve(): return inspect.getsource(solve)",
        "assert 'getsource' in solve()",
        PASSED,
    ),
    "names that both define": (
        "LIMIT = 10\ndef check(x): return x\ndef solve(x): return min(check(x), LIMIT)",
        "def check(x): return -x\nassert solve(7) == 7 == -check(7)",
        PASSED,
    ),
    "a variable that both define": (
        "LIMIT = 10\ndef solve(x): return min(x, LIMIT)",
        "LIMIT = 5\nassert solve(7) == 7",
        Verdict.UNCONFIRMED,
    ),
    "an exception that ends a loop": (
        "def solve(x): raise StopIteration",
        "assert not any(map(lambda x: solve(x) != x, range(5)))",
        Verdict.UNCONFIRMED,
    ),
    "an empty array": (
        "import numpy as np\ndef solve(): return np.empty((0, 1))",
        "import numpy as np\nassert np.allclose(solve(), [0.6, 0.8])",
        Verdict.UNCONFIRMED,
    ),
    "two arguments that are the same list": (
        "def solve(x, y):\n    x.append(1)\n    return len(y)",
        "x = []\nassert solve(x, x) == 1",
        PASSED,
    ),
}


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=0.4, memory_mib=256)) as runner:
        yield runner


@pytest.mark.parametrize(("candidate", "test", "verdict"), CASES.values(), ids=CASES)
def test_results_and_changed_arguments_are_as_in_the_same_process(runner, candidate, test, verdict):
    tests = [UnitTest("problem", 0, test, kind=TestKind.ASSERT)]
    outcomes = runner.run([candidate], tests)
    assert outcomes.verdicts.tolist() == [[verdict]]


def test_an_entry_point_may_have_the_name_of_a_builtin(runner):
    tests = [UnitTest("problem", 0, "assert pow(2, 3) == 7", kind=TestKind.ASSERT)]
    outcomes = runner.run(["def pow(x, y): return 7", "def pow(x, y): return x ** y"], tests, "pow")
    assert outcomes.verdicts.tolist() == [[PASSED], [FAILED]]

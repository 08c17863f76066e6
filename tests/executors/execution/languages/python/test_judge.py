"""Doubts about results that pass a test and tell nothing, and about what stands for a part of the test."""

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

PASSED, FAILED, UNCONFIRMED = Verdict.PASSED, Verdict.FAILED, Verdict.UNCONFIRMED


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits(cpu_seconds=2)) as runner:
        yield runner


def judged(runner, candidate, test):
    found = runner.run([candidate], [UnitTest("", 0, test, kind=TestKind.ASSERT)], "solve")
    return Verdict(found.verdicts[0, 0])


NOT_NUMBERS = {
    "a float": "float('nan')",
    "an infinity less another": "1e999 - 1e999",
    "a complex number": "complex('nan')",
    "a scalar of NumPy": "numpy.float64('nan')",
    "a short scalar of NumPy": "numpy.float32('nan')",
    "an array": "numpy.array(float('nan'))",
}
PLACES = {
    "a result": ("return VALUE", "x = solve(1)"),
    "a part of a result": ("return [(VALUE,)]", "x = solve(1)[0][0]"),
    "a changed argument": ("x[0] = VALUE", "values = [1]\nsolve(values)\nx = values[0]"),
    "an argument of an exception": (
        "raise ValueError(VALUE)",
        "try:\n    solve(1)\nexcept ValueError as error:\n    x = error.args[0]",
    ),
}


@pytest.mark.parametrize("value", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
@pytest.mark.parametrize(("body", "gets"), PLACES.values(), ids=PLACES)
def test_what_is_no_number_is_in_no_confirmed_pass(runner, body, gets, value):
    candidate = f"import numpy\ndef solve(x): {body.replace('VALUE', value)}"
    assert judged(runner, candidate, f"{gets}\nif abs(x - 2) > 0.1: raise AssertionError") is not PASSED


@pytest.mark.parametrize("empty", ["[]", "()", "set()", "[[]]", "range(0)", "{}", "((),)"])
@pytest.mark.parametrize("check", ["np.allclose(solve(1), 3.0)", "np.all(np.array(solve(1)) == 3)"])
def test_an_empty_result_does_not_agree_with_an_array(runner, empty, check):
    candidate = f"def solve(x): return {empty}"
    assert judged(runner, candidate, f"import numpy as np\nassert {check}") is not PASSED


def test_an_empty_result_may_be_equal_to_an_empty_array(runner):
    candidate = "def solve(x): return [y for y in x if y > 1]"
    test = "import numpy as np\nassert np.allclose(solve([1]), []) and np.allclose(solve([1, 2]), [2])"
    assert judged(runner, candidate, test) is PASSED


TEXTS = {
    "a comparison of arrays": ("''", "import numpy as np\nassert np.allclose(read(solve(1)), [1.5])"),
    "close elements": ("''", "import numpy as np\nassert np.isclose(read(solve(1)), 1.5).all()"),
    "an assertion of NumPy": (
        "''",
        "from numpy import testing\ntesting.assert_allclose(read(solve(1)), 1.5)",
    ),
    "an assertion of NumPy by its name": (
        "''",
        "from numpy.testing import assert_array_almost_equal as same\nsame(read(solve(1)), 1.5)",
    ),
    "a norm": ("''", "import numpy as np\nassert np.linalg.norm(np.array(read(solve(1))) - 1) < 0.1"),
    "a reduction": ("''", "import numpy as np\nassert np.all(np.array(read(solve(1))) == 1.5)"),
    "a branch": ("'nan'", "if abs(read(solve(1))[0] - 1.5) > 0.1: raise AssertionError"),
    "a negation": ("'nan'", "assert not abs(read(solve(1))[0] - 1.5) > 0.1"),
    "one of several": ("'nan'", "assert not any(abs(x - 1.5) > 0.1 for x in read(solve(1)))"),
    "an array": ("'nan'", "import numpy as np\nassert not np.any(np.array(read(solve(1))) > 0.1)"),
    "a method": (
        "'nan'",
        "import unittest\nunittest.TestCase().assertFalse(abs(read(solve(1))[0] - 1.5) > 0.1)",
    ),
}


@pytest.mark.parametrize(("result", "check"), TEXTS.values(), ids=TEXTS)
def test_what_a_test_reads_from_a_text_is_looked_at_where_it_is_compared(runner, result, check):
    test = f"def read(text): return [float(x) for x in text.split()]\n{check}"
    assert judged(runner, f"def solve(x): return {result}", test) is UNCONFIRMED
    assert judged(runner, "def solve(x): return '9'", test) is FAILED


STOPS = {
    "a loop": "for got, want in zip(map(solve, [1, 2]), [1, 4]):\n    assert got == want",
    "a list": "assert all(got == 1 for got in list(map(solve, [1])))",
    "a default": "assert next(map(solve, [1]), 3) == 3",
}
HANDLES = (
    "try:\n    solve(1)\nexcept StopIteration:\n    pass\nelse:\n    assert False",
    "import unittest\nunittest.TestCase().assertRaises(StopIteration, solve, 1)",
    "import pytest\nwith pytest.raises(StopIteration):\n    solve(1)",
)


@pytest.mark.parametrize("handles", HANDLES)
def test_an_exception_that_ends_loops_is_expected_only_where_it_is_handled(runner, handles):
    candidate = "def solve(x): raise StopIteration"
    assert judged(runner, candidate, handles) is PASSED
    for swallows in STOPS.values():
        assert judged(runner, candidate, f"{handles}\n{swallows}") is UNCONFIRMED


READS = "LIMIT = 3\ndef solve(x): return min(x, LIMIT)"
BINDS = {
    "an assignment": "LIMIT = 5",
    "several": "LIMIT, OTHER = 5, 6",
    "a loop": "for LIMIT in [5]: pass",
    "a branch": "if True:\n    LIMIT = 5",
    "an expression": "assert (LIMIT := 5)",
    "a function": "def bind():\n    global LIMIT\n    LIMIT = 5\nbind()",
}


@pytest.mark.parametrize("binds", BINDS.values(), ids=BINDS)
def test_a_constant_of_the_candidate_that_the_test_binds_anew_is_in_doubt(runner, binds):
    assert judged(runner, READS, f"{binds}\nassert solve(7) == 3") in {FAILED, UNCONFIRMED}
    assert judged(runner, READS.replace("LIMIT", "MAXIMUM"), f"{binds}\nassert solve(7) == 3") is PASSED


DECORATED = {
    "a method": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): self.assertTrue(solve())\n"
        "    @logged\n    def test_b(self): self.assertEqual(solve(), 4)"
    ),
    "a function": "def test_a(): assert solve()\n@logged\ndef test_b(): assert solve() == 4",
    "a method in pytest's style": (
        "class TestSolve:\n    def test_a(self): assert solve()\n    @logged\n    def test_b(self):\n"
        "        assert solve() == 4"
    ),
}


@pytest.mark.parametrize("test", DECORATED.values(), ids=DECORATED)
def test_a_case_that_the_candidate_decorates_must_assert(runner, test):
    keeps = "import functools\ndef logged(f): return functools.wraps(f)(lambda *x: f(*x))\n"
    drops = "def logged(f): return lambda *x: None\n"
    assert judged(runner, keeps + "def solve(): return 4", test) is PASSED
    assert judged(runner, keeps + "def solve(): return 5", test) is FAILED
    assert judged(runner, drops + "def solve(): return 5", test) is UNCONFIRMED

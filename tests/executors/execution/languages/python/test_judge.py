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


NUMPY = "import numpy as np\nv = np.array(read(solve(1)))\n"
DECEIVED = {
    "the largest error": ("'nan'", "worst = max(0.0, abs(read(solve(1))[0] - 1.5))\nassert worst < 0.1"),
    "the largest of several": ("'nan'", "assert max((x - 1.5 for x in [1.5, *read(solve(1))])) < 0.1"),
    "the largest of a map": ("'nan'", "assert max(map(lambda x: x - 1.5, [1.5, *read(solve(1))])) < 0.1"),
    "the largest of a list": ("'nan'", "assert max([1.5, *read(solve(1))]) < 1.6"),
    "the largest by a key": (
        "'nan'",
        "assert max([1.5, float(solve(1))], key=lambda x: abs(x - 1.5)) == 1.5",
    ),
    "the smallest": ("'-nan'", "assert min(1.5, *read(solve(1))) == 1.5"),
    "an order": ("'nan'", "assert sorted([1.5, *read(solve(1))])[0] == 1.5"),
    "an order in place": ("'nan'", "xs = [1.5, *read(solve(1))]\nxs.sort()\nassert xs[0] == 1.5"),
    "a variable": (
        "'nan'",
        "import unittest\nbad = abs(read(solve(1))[0] - 1.5) > 0.1\nunittest.TestCase().assertFalse(bad)",
    ),
    "a comparison in an argument": (
        "'nan'",
        "import unittest\nunittest.TestCase().assertEqual([x > 1.6 for x in read(solve(1))], [False])",
    ),
    "an error relative to itself": (
        "1e999",
        "x = solve(1)\nassert abs(x - 1.5) <= 0.1 * max(abs(x), 1.5)",
    ),
    "an infinite text": ("'-1e999'", "x = float(solve(1))\nassert abs(x - 1.5) <= 0.1 * max(abs(x), 1.5)"),
    "all": ("''", f"{NUMPY}assert (np.abs(v - 1.5) < 0.1).all()"),
    "any": ("''", f"{NUMPY}assert not v.any()"),
    "a sum": ("''", f"{NUMPY}assert ((v - 1.5) ** 2).sum() == 0"),
    "a comparison with an element": ("''", f"{NUMPY}assert all(v == 1.5)"),
    "a comparison with several": ("''", f"{NUMPY}bad = v != np.array([1.5])\nassert not len(v[bad])"),
    "a product": ("''", f"{NUMPY}assert np.dot(v, v) == 0"),
    "an operator for products": ("''", f"{NUMPY}assert v @ v == 0"),
    "places": ("''", f"{NUMPY}assert len(np.argwhere(v)) == 0"),
}


@pytest.mark.parametrize(("result", "check"), DECEIVED.values(), ids=DECEIVED)
def test_numbers_without_order_and_arrays_without_elements_confirm_nothing(runner, result, check):
    test = f"def read(text): return [float(x) for x in text.split()]\n{check}"
    assert judged(runner, f"def solve(x): return {result}", test) is UNCONFIRMED


@pytest.mark.parametrize("imports", ["", "import numpy as np\n"])
def test_a_class_that_is_named_as_numpys_is_no_array(runner, imports):
    candidate = "class Box:\n    __module__ = 'numpy'\n    size = 0\n    x = 4\ndef solve(x): return Box()"
    assert judged(runner, candidate, f"{imports}assert max(solve(1).x, 3) == 4") is PASSED
    assert judged(runner, candidate, f"{imports}assert abs(solve(1)) == 4") not in {PASSED, UNCONFIRMED}


MEASURES = {
    "an own infinity": "inf = float('-inf')\nassert max(inf, solve(1)) == 4 and math.inf > solve(1)",
    "arrays": "v = np.array([solve(1), 4])\nassert (v == 4).all() and (v - 4).sum() == 0 and v @ v == 32",
    "an own empty array": "e = np.zeros((0, 3)) @ np.ones((3, 2))\nassert solve(e.shape[1]) == 4",
    "a pattern": (
        "match {1: solve(1)}:\n    case {1: 4} if solve(1) > 3: assert solve(1) < 5\n"
        "    case _: assert False"
    ),
    "an annotation": (
        "def own(x: int | None = None) -> int | None: return x\n"
        "y: int | None = own(solve(1))\nassert 5 > y >= 4"
    ),
    "several orders": "assert 3 < solve(1) <= 4 == max(*[solve(1)], 3) and sorted(map(solve, [1])) == [4]",
    "a key": "assert max([1, 4], key=lambda x: x == solve(x)) == 4",
    "a sum": "assert sum((solve(1) for _ in 'ab'), 1) == 9 and abs(solve(1)) == 4",
}


@pytest.mark.parametrize("check", MEASURES.values(), ids=MEASURES)
def test_numbers_with_an_order_may_be_compared(runner, check):
    test = f"import math\nimport numpy as np\n{check}"
    assert judged(runner, "def solve(x): return 4", test) is PASSED
    assert judged(runner, "def solve(x): return 7", test) is not PASSED


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


LAZY = """
from collections.abc import Mapping
class Squares:
    def __getitem__(self, i):
        if i > 2: raise IndexError(i)
        return solve(i)
class Lazy(Mapping):
    __getitem__ = lambda self, key: solve(key)
    def __iter__(self): return iter(())
    def __len__(self): return 0
class Box:
    value = property(lambda self: solve(3))
    def __getattr__(self, name): return 9
class Steps:
    def __iter__(self): return self
    def __next__(self): return solve(1)
"""
SWALLOWED = {
    "a sequence": ("IndexError", "for got, want in zip(Squares(), [0, 1, 4]):\n    assert got == want"),
    "a mapping's default": ("KeyError", "assert Lazy().get(2, 4) == 4"),
    "a mapping's keys": ("KeyError('x')", "assert 2 not in Lazy()"),
    "an attribute": ("AttributeError", "assert Box().value == 9"),
    "an attribute's default": ("AttributeError('x')", "assert not hasattr(type('B', (Box,), {}), 'x')\n"
        "assert getattr(Box(), 'value', 9) == 9"),
    "an own iterator": ("StopIteration", "assert all(got == 1 for got in Steps())"),
}  # fmt: skip
EXPECTED = (
    "try:\n    solve(1)\nexcept Exception:\n    pass\nelse:\n    assert False",
    "import unittest\nunittest.TestCase().assertRaises(Exception, lambda: Squares()[1])",
    "import unittest\nwith unittest.TestCase().assertRaises(Exception):\n    Lazy()[1]",
    "import pytest\nwith pytest.raises(Exception):\n    Squares()[0]",
    "import pytest\npytest.raises(Exception, solve, 1)",
)


@pytest.mark.parametrize("handles", EXPECTED)
@pytest.mark.parametrize(("error", "swallows"), SWALLOWED.values(), ids=SWALLOWED)
def test_a_handler_excuses_what_it_handles_and_no_default_elsewhere(runner, error, swallows, handles):
    candidate = f"def solve(x): raise {error}"
    assert judged(runner, candidate, f"{LAZY}{handles}") is PASSED
    assert judged(runner, candidate, f"{LAZY}{swallows}") is UNCONFIRMED
    assert judged(runner, candidate, f"{LAZY}{handles}\n{swallows}") is UNCONFIRMED


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

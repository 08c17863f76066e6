"""Verdicts and reasons of tests of every style, run in the namespace of a module."""

import sys
import types
import unittest
from textwrap import dedent

import pytest

from testbudget.executors.execution.languages.base import Source
from testbudget.executors.execution.languages.python import (
    parameterized_stand_in,
    programs,
    pytest_stand_in,
)
from testbudget.executors.execution.languages.python.test_run import Caveat, run_test
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.rewards.verdict_reason import DetailName

PASSED, FAILED, ERRORED = Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED
UNCONFIRMED = Verdict.UNCONFIRMED


@pytest.fixture(autouse=True)
def modules_of_the_sandbox(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", pytest_stand_in)
    monkeypatch.setitem(sys.modules, "parameterized", parameterized_stand_in)
    monkeypatch.setattr(unittest, "main", lambda *_, **__: None)


def judged(text, kind=TestKind.ASSERT, caveats=(), add=lambda x, y: x + y):
    """Run of a test of ``add``."""
    module = types.ModuleType("solution")
    calls = []

    def counted(*arguments, **keywords):
        calls.append(True)
        return add(*arguments, **keywords)

    module.add = counted
    program = programs.unpack_program(programs.compile_source(Source(dedent(text), kind), "add"))
    return run_test(module, program, lambda: bool(calls), caveats)


STYLES = {
    "a bare assertion": "assert add(1, {}) == 3",
    "a loop": "for x in range(3):\n    assert add(x, 1) == x + {} - 1",
    "a raise in a branch": "if add(1, {}) != 3:\n    raise ValueError('wrong')",
    "a raise after a loop": (
        "for x in range(5):\n    if add(x, {}) == 6: break\nelse:\n    raise AssertionError\nassert x == 4"
    ),
    "an exit in a branch": "import sys\nif add(1, {}) != 3:\n    sys.exit(1)\nsys.exit(0)",
    "pytest functions": "def test_add():\n    assert add(1, {}) == 3",
    "parametrized functions": (
        "import pytest\n@pytest.mark.parametrize('x, y', [(1, 2), (2, {})])\n"
        "def test_add(x, y):\n    assert add(x, y) == x + 2"
    ),
    "a class in pytest's style": (
        "class TestAdd:\n    def setup_method(self): self.x = 1\n"
        "    def test_add(self):\n        assert add(self.x, {}) == 3"
    ),
    "a fixture": (
        "import pytest\n@pytest.fixture\ndef two():\n    yield {}\n"
        "def test_add(two):\n    assert add(1, two) == 3"
    ),
    "captured output": (
        "def test_add(capsys):\n    print(add(1, {}))\n    assert capsys.readouterr().out == '3\\n'"
    ),
    "captured records": (
        "import logging\ndef test_add(caplog):\n    caplog.set_level(logging.INFO, logger='a')\n"
        "    logging.getLogger('a').info('x %d', add(1, {}))\n    assert caplog.messages == ['x 3']\n"
        "    assert 'INFO     a:' in caplog.text and caplog.record_tuples == [('a', 20, 'x 3')]"
    ),
    "captured warnings": (
        "import warnings\ndef test_add(recwarn):\n    warnings.warn(str(add(1, {})))\n"
        "    assert len(recwarn) == 1 and str(recwarn[0].message) == '3'"
    ),
    "patches in pytest's style": (
        "import os\ndef test_add(monkeypatch):\n    monkeypatch.setenv('TWO', '{}')\n"
        "    assert add(1, int(os.environ['TWO'])) == 3"
    ),
    "a fixture with parameters": (
        "import pytest\n@pytest.fixture(params=[2, {}])\ndef two(request): return request.param\n"
        "def test_add(two):\n    assert add(1, two) == 3"
    ),
    "a warning": (
        "import pytest, warnings\nwith pytest.warns(UserWarning, match='3'):\n"
        "    warnings.warn(str(add(1, {})))"
    ),
    "the end of a script": "assert add(1, {}) == 3\nexit()",
    "functions that the test calls itself": "def test_add():\n    assert add(1, {}) == 3\ntest_add()",
    "check": "def check(candidate):\n    assert candidate(1, {}) == 3",
    "check, called": "def check(candidate):\n    assert candidate(1, {}) == 3\ncheck(add)",
    "a guard for scripts": "if __name__ == '__main__':\n    assert add(1, {}) == 3",
    "a TestCase": (
        "import unittest\nclass T(unittest.TestCase):\n"
        "    def test(self): self.assertEqual(add(1, {}), 3)\n"
        "if __name__ == '__main__':\n    unittest.main()"
    ),
    "a TestCase with assertions of Python": (
        "from unittest import TestCase\nclass T(TestCase):\n    def test(self): assert add(1, {}) == 3"
    ),
    "parameterized methods": (
        "import unittest\nfrom parameterized import parameterized\nclass T(unittest.TestCase):\n"
        "    @parameterized.expand([(1, {}), (1, 2)])\n"
        "    def test(self, x, y): self.assertEqual(add(x, y), 3)"
    ),
    "a coroutine": (
        "import unittest\nclass T(unittest.IsolatedAsyncioTestCase):\n"
        "    async def test(self): self.assertEqual(add(1, {}), 3)"
    ),
    "numbers within a tolerance": "import pytest\nassert add(0.1, 0.{}) == pytest.approx(0.3)",
    "an assertion of NumPy": "import numpy as np\nnp.testing.assert_allclose(add(1, {}), 3)",
}


@pytest.mark.parametrize("kind", [TestKind.ASSERT, TestKind.UNITTEST])
@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_every_style_is_run_under_every_kind(text, kind):
    assert judged(text.replace("{}", "2"), kind).verdict is PASSED
    wrong = judged(text.replace("{}", "3"), kind)
    assert wrong.verdict in {FAILED, ERRORED}
    assert wrong.reason is not None


EXPECTED_EXCEPTIONS = {
    "try": "try:\n    add(1, {})\nexcept TypeError:\n    pass\nelse:\n    assert False",
    "fail in try": (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        try:\n"
        "            add(1, {})\n            self.fail()\n        except TypeError:\n            pass"
    ),
    "assertRaises": (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        with self.assertRaises(TypeError): add(1, {})"
    ),
    "pytest.raises": "import pytest\nwith pytest.raises(TypeError, match='unsupported'):\n    add(1, {})",
}


@pytest.mark.parametrize("text", EXPECTED_EXCEPTIONS.values(), ids=EXPECTED_EXCEPTIONS)
def test_an_expected_exception_is_an_assertion(text):
    assert judged(text.replace("{}", "'a'")).verdict is PASSED
    assert judged(text.replace("{}", "2")).verdict is FAILED


TESTS_NOTHING = {
    "nothing": ("", "The test does not call the candidate."),
    "no call": ("assert 1 + 1 == 2", "The test does not call the candidate."),
    "no assertion": ("add(1, 2)", "No assertion of the test ran."),
    "an uncalled helper": (
        "def verify():\n    assert add(1, 2) == 4\nadd(1, 2)",
        "No assertion of the test ran.",
    ),
    "an empty loop": (
        "add(1, 2)\nfor x, y in []:\n    assert add(x, 1) == y",
        "No assertion of the test ran.",
    ),
    "skipped cases": (
        "import unittest\nclass T(unittest.TestCase):\n    @unittest.skip('later')\n"
        "    def test(self): self.assertEqual(add(1, 2), 4)",
        "Every case was skipped.",
    ),
    "skipped functions": (
        "import pytest\n@pytest.mark.skip\ndef test_add():\n    assert add(1, 2) == 4",
        "Every case was skipped.",
    ),
    "a coroutine that nobody awaits": (
        "import unittest\nclass T(unittest.TestCase):\n    async def test(self): assert add(1, 2) == 4",
        "The case test is a coroutine that nobody awaits.",
    ),
    "an unknown fixture": (
        "def test_add(database):\n    assert add(1, 2) == 4",
        "A test function has the parameter database, which nothing gives a value for.",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), TESTS_NOTHING.values(), ids=TESTS_NOTHING)
def test_a_test_that_tests_nothing_is_errored_with_its_reason(text, sentence):
    run = judged(text)
    assert run.verdict is ERRORED
    assert run.reason.sentence == sentence


def test_a_skipped_case_does_not_count():
    text = """
        import unittest
        class T(unittest.TestCase):
            @unittest.skip("later")
            def test_later(self): self.assertEqual(add(1, 2), 4)
            def test_now(self): self.assertEqual(add(1, {}), 3)
        """
    assert judged(text.replace("{}", "2")).verdict is PASSED
    assert judged(text.replace("{}", "3")).verdict is FAILED


def raises(error):
    def add(*_):
        raise error

    return add


def test_an_exit_of_the_candidate_does_not_end_the_test_well():
    assert judged("assert add(1, 2) == 3", add=raises(SystemExit(0))).verdict is ERRORED


REASONS = {
    "an assert statement": (
        "x = 1\nassert add(x, 1) == 3",
        {DetailName.GIVEN: "2", DetailName.EXPECTED: "3", DetailName.LINE: "2"},
    ),
    "a constant first": ("assert 3 == add(1, 1)", {DetailName.GIVEN: "2", DetailName.EXPECTED: "3"}),
    "membership": ("assert add(1, 1) in [3]", {DetailName.GIVEN: "2", DetailName.EXPECTED: "[3]"}),
    "truth": ("assert add([], [])", {DetailName.GIVEN: "[]"}),
    "assertEqual": (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
        "        self.assertEqual(add('a', 'b'), 'c')",
        {DetailName.GIVEN: "'ab'", DetailName.EXPECTED: "'c'", DetailName.LINE: "4"},
    ),
}


@pytest.mark.parametrize(("text", "details"), REASONS.values(), ids=REASONS)
def test_a_failed_assertion_tells_what_it_compared(text, details):
    run = judged(text)
    assert run.verdict is FAILED
    assert details.items() <= run.reason.detail.items()


def test_a_missing_module_is_named():
    run = judged("import no_such_module\nassert add(1, 2) == 3")
    assert run.reason.detail[DetailName.MODULE] == "no_such_module"
    assert run.reason.sentence == "The module no_such_module is not installed in the sandbox."


REFUSALS = {
    "a thread": (RuntimeError("can't start new thread"), "The sandbox allows no further threads."),
    "a semaphore": (FileNotFoundError(2, "No such file"), "The sandbox allows no further processes."),
    "a fork": (PermissionError(1, "Not"), "The sandbox allows no further processes and no network."),
    "an own error": (RuntimeError("no thread"), "The candidate raised RuntimeError on line 1."),
    "a file": (FileNotFoundError(2, "No", "a.txt"), "The candidate raised FileNotFoundError on line 1."),
    "a part": (
        ModuleNotFoundError("No", name="os.no"),
        "The candidate raised ModuleNotFoundError on line 1.",
    ),
}


@pytest.mark.parametrize(("error", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_what_the_sandbox_refuses_is_the_reason(error, sentence):
    run = judged("assert add(1, 2) == 3", add=raises(error))
    assert run.verdict is ERRORED
    assert run.reason.sentence.replace("The test raised", "The candidate raised") == sentence


def test_details_are_short_and_call_no_method_of_a_candidate():
    class Loud:
        def __repr__(self):
            raise SystemExit

        def __eq__(self, other):
            return False

        __hash__ = None

    run = judged("assert add(1, 2) == 'x' * 1000", add=lambda *_: [Loud()] * 1000)
    assert run.verdict is FAILED
    assert run.reason.detail[DetailName.GIVEN].startswith("[<Loud>, <Loud>")
    assert all(len(text) <= 500 for text in run.reason.detail.values())


def test_an_operand_does_not_outlive_its_assertion():
    text = """
        import gc, weakref
        class A: pass
        a = A()
        assert add(a, 0) is a
        reference = weakref.ref(a)
        del a
        assert reference() is None
        """
    assert judged(text, add=lambda x, y: x).verdict is PASSED


CAVEATS = {
    "an exception that ends loops": (Caveat.ENDS_ITERATION, "assert add(1, 2) == 3", UNCONFIRMED),
    "an exception that the test expects": (
        Caveat.ENDS_ITERATION,
        "try:\n    assert add(1, 2) == 3\nexcept StopIteration:\n    pass",
        PASSED,
    ),
    "an empty array in a reduction": (Caveat.EMPTY_ARRAY, "assert all([add(1, 2) == 3])", UNCONFIRMED),
    "an empty array as it is": (Caveat.EMPTY_ARRAY, "assert add(1, 2) == 3", PASSED),
}


@pytest.mark.parametrize(("caveat", "text", "verdict"), CAVEATS.values(), ids=CAVEATS)
def test_a_doubt_about_results_concerns_tests_that_could_be_deceived(caveat, text, verdict):
    assert judged(text, caveats={caveat}).verdict is verdict


def test_a_pass_is_not_confirmed_if_the_test_interprets_what_it_got():
    run = judged("exec(str(add(1, 2)))\nassert add(1, 2) == 3")
    assert run.verdict is UNCONFIRMED
    assert run.reason.sentence == "The test may pass what it got to exec."


def test_patches_in_pytests_style_end_with_the_case():
    text = """
        import math, os
        def test_patched(monkeypatch):
            monkeypatch.setattr("math.pi", 3)
            monkeypatch.setattr(math, "tau", 6)
            monkeypatch.setitem(os.environ, "OWN", "1")
            monkeypatch.delattr(math, "e")
            assert add(math.pi, math.tau) == 9
        def test_restored():
            assert add(math.pi, 0) > 3.1 and math.tau > 6.2 and math.e > 2.7 and "OWN" not in os.environ
        """
    assert judged(text).verdict is PASSED


def test_numbers_are_compared_within_a_tolerance():
    text = """
        from pytest import approx
        assert add(0.1, 0.2) == approx(0.3) != add(0.1, 0.21)
        assert [add(0.1, 0.2), 1] == approx([0.3, 1])
        assert {"a": add(0.1, 0.2)} == approx({"a": 0.3})
        assert add(1, 0.5) == approx(1, abs=1) and add(1, 0.5) != approx(1, rel=0.1)
        assert [1] != approx([1, 2]) and "a" != approx(1) and float("nan") != approx(float("nan"))
        assert float("nan") == approx(float("nan"), nan_ok=True)
        """
    assert judged(text).verdict is PASSED

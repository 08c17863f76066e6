import doctest

import pytest

import testbudget
from testbudget import Comparison, StdinCase, UserError, Verdict, judge, verdicts

SQUARE = ["def square(x): return x * x", "def square(x): return x"]
TESTS = {
    "assert": "assert square(3) == 9",
    "unittest": "import unittest\nclass T(unittest.TestCase):\n"
    "    def test_it(self): self.assertEqual(square(3), 9)",
    "pytest": "def test_it(): assert square(3) == 9",
    "check": "def check(candidate): assert candidate(3) == 9",
}


def names(block):
    return [Verdict(verdict).name for verdict in block.verdicts[:, 0]]


def test_the_example_holds():
    failed, tried = doctest.testmod(verdicts, extraglobs={"Verdict": Verdict})
    assert (failed, tried) == (0, 3)


@pytest.mark.parametrize("kind", TESTS)
def test_tests_of_every_kind_judge_functions(kind):
    assert names(judge(SQUARE, [TESTS[kind]], "square", kind=kind)) == ["PASSED", "FAILED"]


def test_programs_are_judged_by_what_they_print():
    programs = ["print(int(input()) / 3)", "print(0.3334)"]
    exact = judge(programs, [StdinCase("1\n", "0.3333333333333333\n")], kind="stdin")
    assert names(exact) == ["PASSED", "FAILED"]
    close = Comparison(absolute=1e-3)
    block = judge(programs, [StdinCase("1", "0.3333")], kind="stdin", comparison=close)
    assert names(block) == ["PASSED", "PASSED"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"candidates": "def f(): pass"}, "candidates must be a list of programs"),
        ({"tests": [StdinCase("", "")]}, "tests must be a list of programs"),
        ({"kind": "stdin"}, "tests of kind stdin must be a list of StdinCase"),
        ({"kind": "stdin", "tests": [StdinCase("")]}, "each with an expected output"),
        ({"kind": "doctest"}, "kind must be one of assert, unittest, pytest, check, stdin but got"),
        ({"packages": "pandas"}, "packages must be a list of names"),
        ({"packages": ["no-such-thing"]}, "packages names no-such-thing, which is not installed"),
        ({"packages": ["numpy"], "python": "/nowhere"}, "python must be the interpreter of an environment"),
    ],
)
def test_what_cannot_be_judged_is_told(words, sentence):
    given = {"candidates": SQUARE, "tests": [TESTS["assert"]]} | words
    with pytest.raises(UserError, match=sentence):
        testbudget.judge(given.pop("candidates"), given.pop("tests"), **given)


def test_a_package_can_be_imported():
    block = judge(
        ["from packaging.version import Version\ndef newer(a, b): return Version(a) > Version(b)"],
        ["assert newer('10.0', '9.1')"],
        packages=["packaging"],
    )
    assert names(block) == ["PASSED"]

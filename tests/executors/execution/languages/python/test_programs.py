"""Properties of Python programs, found without running them."""

from textwrap import dedent

import pytest

from testbudget.executors.execution.languages.python.programs import (
    bindings,
    candidate_program,
    compile_program,
    defined_names,
    test_program,
    used_names,
)


def as_test(text, entry_point="solve"):
    text = dedent(text)
    return test_program(text, compile_program(text), entry_point)


@pytest.mark.parametrize("text", ["def f(:", "a\0b", "(" * 500 + ")" * 500, "x = '\ud800'"])
def test_a_text_that_does_not_compile_has_no_code(text):
    assert compile_program(text) is None


@pytest.mark.parametrize(
    ("text", "self_contained"),
    [
        ("import math\ndef f(x): return math.pi * x", True),
        ("class A: pass\na = A()\na.x = 1", True),
        ("import math\nmath.pi = 3", False),
        ("import sys\nsys.path += ['x']", False),
        ("from os import *", False),
        ("def f(): globals()['x'] = 1", False),
        ("def f(path): return open(path)", False),
    ],
)
def test_a_program_that_may_change_other_modules_is_not_self_contained(text, self_contained):
    assert candidate_program(text, compile_program(text)).self_contained is self_contained


def test_names_are_found_at_every_depth():
    code = compile_program("def f():\n    def g():\n        global h\n        h = a.b\n    return g")
    assert {"a", "b", "h"} <= used_names(code)
    assert defined_names(code) == {"f", "h"}


def test_an_imported_name_has_its_origin():
    code = compile_program("import os.path\nfrom math import pi as p\nx = 1\nimport re\nre = 2")
    assert bindings(code) == {"os": ("os", None), "p": ("math", "pi"), "x": None, "re": None}


def test_a_test_that_calls_functions_only_is_judged_in_a_separate_process():
    program = as_test("import unittest\nassert solve(len([1])) == helper(2)")
    assert program.separate_process
    assert (program.functions, program.other_names) == (("helper", "solve"), ())


def test_names_that_the_test_defines_are_its_own():
    program = as_test("def helper(x): return x\nfor y in [1]:\n    assert solve(helper(y))")
    assert (program.functions, program.other_names) == (("solve",), ())


def test_classes_of_the_candidate_are_other_names():
    program = as_test(
        """
        try:
            solve(1)
        except OwnError:
            pass
        assert isinstance(solve(2), Shape)
        """
    )
    assert program.separate_process
    assert program.other_names == ("OwnError", "Shape")


def test_an_entry_point_may_be_imported_by_name():
    assert as_test("from solution import solve, helper\nassert solve(1)").functions == ("helper", "solve")
    assert not as_test("from solution import solve as other\nassert other(1)").separate_process


@pytest.mark.parametrize(
    "text",
    [
        "assert solve.cache == {}",
        "import os\nassert solve(1)",
        "from unittest import mock\nassert solve(1)",
        "import random\nrandom.seed(1)\nassert solve(1)",
        "import sys\nsys.stdin = None\nassert solve(1)",
        "async def f(): solve(1)",
        "assert eval('solve(1)')",
    ],
)
def test_a_test_that_needs_shared_state_is_not_judged_in_a_separate_process(text):
    assert not as_test(text).separate_process

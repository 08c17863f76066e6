"""Properties of Python programs, found without running them."""

import json

import pytest

from testbudget.executors.execution.languages.base import Source
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.python.programs import (
    CompiledTest,
    bindings,
    candidate_program,
    compile_source,
    compile_text,
    defined_names,
    defines_any,
    defines_class,
    unpack_program,
    used_names,
)
from testbudget.rewards.problem import TestKind
from testbudget.rewards.verdict_reason import DetailName, VerdictReason


def compiled(text):
    return compile_text(text, "<text>")


@pytest.mark.parametrize("text", ["def f(:", "a\0b", "(" * 500 + ")" * 500, "x = '\ud800'"])
@pytest.mark.parametrize("kind", [None, TestKind.STDIN, TestKind.ASSERT])
def test_a_text_that_does_not_compile_leaves_why(text, kind):
    name, reason = json.loads(compile_source(Source(text, kind), None))
    assert name == StepMessage.NOT_COMPILED
    assert VerdictReason.from_message(reason).detail.keys() >= {DetailName.EXCEPTION, DetailName.MESSAGE}


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
        ("import calendar\ndef f(): calendar.setfirstweekday(6)", False),
        ("import sys\nsys.setrecursionlimit(9999)", True),
        ("import sys\ndef f(): sys.argv.append('x')", False),
        ("from typing import *\nimport numpy as np\nimport heapq, math", True),
        ("import numpy as np\nnp.set_printoptions(precision=2)", False),
        ("import os, math", False),
    ],
)
def test_a_program_that_may_change_other_modules_is_not_self_contained(text, self_contained):
    assert candidate_program(text, compiled(text)).self_contained is self_contained


def test_names_are_found_at_every_depth():
    code = compiled("def f():\n    def g():\n        global h\n        h = a.b\n    return g")
    assert {"a", "b", "h"} <= used_names(code)
    assert defined_names(code) == {"f", "h"}


@pytest.mark.parametrize(
    ("text", "is_class"),
    [
        ("class A: pass", True),
        ("@decorated\nclass A(B):\n    def f(self): pass", True),
        ("def A():\n    class B: pass", False),
        ("class B:\n    class A: pass", False),
        ("A = lambda: 1\nB = [A for A in ()]", False),
    ],
)
def test_a_class_statement_at_the_top_defines_a_class(text, is_class):
    assert defines_class(compiled(text), ["A"]) is is_class


def test_an_imported_name_has_its_origin():
    code = compiled("import os.path\nfrom math import pi as p\nx = 1\nimport re\nre = 2")
    assert bindings(code) == {"os": ("os", None), "p": ("math", "pi"), "x": None, "re": None}


def test_a_candidate_that_imports_all_names_of_a_module_may_define_any():
    assert defines_any(compiled("x = 1"), ["x", "y"])
    assert not defines_any(compiled("x = 1"), ["y"])
    assert defines_any(compiled("from math import *"), ["y"])
    assert not defines_any(compiled("from math import *"), [])


def test_a_packed_test_has_its_parts_again():
    source = Source("def check(f):\n    assert f(1)", TestKind.ASSERT)
    program = unpack_program(compile_source(source, "solve"))
    content = CompiledTest(*program.content)
    assert (content.kind, content.entry_point, content.uncalled) == ("assert", "solve", ("check",))
    assert program.plain_calls
    assert program.functions == ("solve",)


@pytest.mark.parametrize("kind", [None, TestKind.ASSERT])
def test_a_byte_order_mark_is_no_part_of_a_program(kind):
    assert unpack_program(compile_source(Source("\ufeffassert f(1)", kind), "f")).content is not None


def test_a_candidate_keeps_its_text():
    program = unpack_program(compile_source(Source("import math", None), None))
    assert program.content.co_consts[-1] == "import math"


@pytest.mark.parametrize(
    ("statement", "leaves_nothing"),
    [
        ("self.assertEqual(Account().size, 0)", True),
        ("self.account = Account(); self.account.size = 3", True),
        ("import math\n        self.assertEqual(Account().size, math.pi)", True),
        ("import math; math.pi = 3", False),
        ("import math; del math.pi", False),
        ("import unittest; unittest.TestCase.maxDiff = None", False),
        ("from unittest import mock", False),
        ("from unittest.mock import patch", False),
        ("import sys; sys.setrecursionlimit(50)", False),
        ("import decimal; decimal.getcontext().prec = 3", False),
        ("import random; random.seed(1)", False),
        ("import warnings; warnings.simplefilter('error')", False),
        ("import logging; logging.disable()", False),
        ("import os; os.environ['A'] = ''", False),
        ("setattr(Account, 'size', 1)", False),
        ("import collections.abc; collections.abc.Sized.register(Account)", False),
        ("open('file', 'w').close()", False),
    ],
)
def test_a_judge_process_stays_only_after_a_test_that_changes_nothing_outside(statement, leaves_nothing):
    text = f"import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        {statement}\n"
    program = unpack_program(compile_source(Source(text, TestKind.UNITTEST), "Account"))
    assert CompiledTest(*program.content).leaves_nothing == leaves_nothing

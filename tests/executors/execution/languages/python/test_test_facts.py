"""Facts about tests, found in their syntax trees."""

import ast
from textwrap import dedent

import pytest

from testbudget.executors.execution.languages.python.test_facts import find_facts


def facts(text, entry_point="solve"):
    return find_facts(ast.parse(dedent(text)), entry_point)


def test_a_test_that_calls_functions_only_exchanges_plain_data():
    found = facts("import unittest\nassert solve(len([1])) == helper(2)")
    assert found.plain_calls
    assert (found.functions, found.other_names) == (("helper", "solve"), ())


NAMES = {
    "functions of the test": ("def helper(x): return x\nassert solve(helper(1))", ("solve",)),
    "variables of a loop": ("for y in [1]:\n    assert solve(y)", ("solve",)),
    "a method of the same name": (
        "class Fake:\n    def solve(self, x): return x\nassert solve(Fake().solve(1))",
        ("solve",),
    ),
    "a local variable of the same name": (
        "def f(other): return other\ndef g(): return other(1)\nassert solve(f(1), g())",
        ("other", "solve"),
    ),
    "an import by name": ("from solution import solve, helper\nassert solve(1)", ("helper", "solve")),
    "a variable of a comprehension": ("assert [solve(x) for x in [1]] == [x(2)]", ("solve", "x")),
    "the argument of an uncalled check": ("def check(f):\n    assert f(1)", ("solve",)),
}


@pytest.mark.parametrize(("text", "functions"), NAMES.values(), ids=NAMES)
def test_names_that_a_test_does_not_define_are_the_candidates(text, functions):
    assert facts(text).functions == functions


def test_classes_of_the_candidate_are_other_names():
    found = facts(
        """
        try:
            solve(1)
        except OwnError:
            pass
        assert isinstance(solve(2), Shape)
        """
    )
    assert found.plain_calls
    assert found.other_names == ("OwnError", "Shape")


OBJECTS = {
    "an attribute of the function": "assert solve.cache == {}",
    "an alias": "from solution import solve as other\nassert other(1)",
    "another module": "import os\nassert solve(1)",
    "a patch": "from unittest import mock\nassert solve(1)",
    "a random seed": "import random\nrandom.seed(1)\nassert solve(1)",
    "print options": "import numpy as np\nnp.set_printoptions(precision=2)\nassert solve(1)",
    "random numbers of NumPy": "import numpy as np\nassert solve(np.random.rand())",
    "a decimal context": "from decimal import getcontext\ngetcontext().prec = 3\nassert solve(1)",
    "a stream": "import sys\nsys.stdin = None\nassert solve(1)",
    "the recursion limit": "import sys\nsys.setrecursionlimit(9999)\nassert solve(1)",
    "the time": "from datetime import datetime\nassert solve(1) < datetime.now()",
    "a coroutine": "async def f(): solve(1)",
    "a text to evaluate": "assert eval('solve(1)')",
    "the cause of an exception": "try:\n    solve(1)\nexcept ValueError as e:\n    assert e.__cause__",
    "identity": "x = (1,)\nassert solve(x) is x",
    "identity by a method": (
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertIs(solve(x), x)"
    ),
    "a function in place of a builtin": "def input(prompt): return 'x'\nassert solve(1)",
    "a class that it forgot to import": "assert Counter(solve(1)) == Counter([1])",
    "a fixture that captures output": "def test(capsys):\n    assert solve(1)",
    "all names of a module": "from math import *\nassert solve(1)",
    "an attribute of a module": "import math\nmath.pi = 3\nassert solve(1)",
}


@pytest.mark.parametrize("text", OBJECTS.values(), ids=OBJECTS)
def test_a_test_that_needs_more_than_plain_data_is_told(text):
    assert not facts(text).plain_calls


PLAIN = {
    "singletons": "assert solve(1) is None\nassert solve(2) is not True\nassert type(solve(3)) is int",
    "harmless members": "import sys, random\nassert solve(random.randint(1, sys.maxsize))",
    "methods of plain values": "assert solve('a').upper().split() == []",
    "the function as an argument": "assert list(map(solve, [1])) == [1]",
    "parametrized functions": (
        "import pytest\n@pytest.mark.parametrize('x', [1])\ndef test(x):\n    assert solve(x)"
    ),
    "a guard": "if __name__ == '__main__':\n    assert solve(1)",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_a_test_that_needs_plain_data_only_is_told(text):
    assert facts(text).plain_calls


def test_functions_that_pytest_would_call_are_found():
    text = "def test_a(): pass\ndef test_b(): pass\nclass TestC: pass\ndef helper(): pass\ntest_b()"
    assert facts(text).uncalled == ("test_a", "TestC")


FORGOTTEN = {
    "a module": ("assert math.isclose(solve(1), 1)", (("math", "math"),)),
    "a short name": ("assert np.allclose(solve(1), 1)", (("np", "numpy"),)),
    "an imported module": ("import math\nassert math.isclose(solve(1), 1)", ()),
    "an object of the candidate": ("assert queue.push(1) == solve(1)", ()),
    "members that the module does not have": ("assert math.own(1) == solve(1)", ()),
}


@pytest.mark.parametrize(("text", "modules"), FORGOTTEN.values(), ids=FORGOTTEN)
def test_modules_that_a_test_forgot_to_import_are_found(text, modules):
    assert facts(text).forgotten == modules


INTERPRETS = {
    "exec": "exec(solve(1))",
    "compile": "exec(compile(solve(1), 'x', 'exec'))",
    "a function as a value": "list(map(exec, solve(1)))",
    "a member of a library": "import logging.config\nlogging.config.dictConfig(solve(1))",
    "a member by name": "from logging.config import dictConfig\ndictConfig(solve(1))",
    "a member by another name": "import runpy as r\nr.run_path(solve(1))",
    "an unlisted module": "import doctest\ndoctest.run_docstring_examples(solve, {})",
    "an import": "import importlib\nimportlib.import_module(solve(1))",
    "a patch target": "from unittest.mock import patch\nwith patch(solve(1)): pass",
    "a patched attribute": "import os\nfrom unittest.mock import patch\nwith patch.object(os, solve(1)): 1",
    "a file of NumPy": "import numpy as np\nnp.load(solve(1))",
    "an attribute of a library": "import math\ngetattr(math, solve(1))",
    "a formatter": "import string\nstring.Formatter().vformat(solve(1), (), {})",
    "a method by name": "getattr(solve(1), 'format')(self)",
    "a method by name, later": "import operator\noperator.methodcaller('format_map', {})(solve(1))",
    "templates of log records": "import logging\nlogging.Formatter(solve(1), style='{')",
    "timed text": "import timeit\ntimeit.timeit(solve(1))",
}


@pytest.mark.parametrize("text", INTERPRETS.values(), ids=INTERPRETS)
def test_calls_that_interpret_what_the_test_got_raise_a_caveat(text):
    assert facts(text).caveat


HARMLESS = {
    "constants": "exec('x = 1')\nassert solve(1)",
    "patches": "from unittest.mock import patch\n@patch('os.getcwd')\ndef f(p): solve(1)",
    "patched objects": "import os\nfrom unittest import mock\nwith mock.patch.object(os, 'sep'): solve(1)",
    "patched dictionaries": "import os\nfrom unittest.mock import patch\nwith patch.dict(os.environ): 1",
    "JSON": "import json\nassert json.loads(solve(1)) == {}",
    "files": "import os\nwith open(os.path.join('a', 'b')) as f: assert f.read() == solve(1)",
    "own templates": "t = '{} {}'\nassert solve(1) == t.format(1, solve(2)) == '{}'.format(solve(1))",
    "timed functions": "import timeit\nassert timeit.timeit(lambda: solve(1), number=3) < 1",
    "own compile": "def compile(x): return x\nassert compile(solve(1))",
    "diverted calls": "import pickle\nassert pickle.loads(pickle.dumps(solve(1))) == 1",
    "suites": "import unittest\nunittest.TextTestRunner().run(unittest.TestLoader().discover('.'))",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_calls_that_honest_tests_make_raise_no_caveat(text):
    assert facts(text).caveat == ""

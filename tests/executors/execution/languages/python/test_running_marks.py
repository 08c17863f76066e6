"""Marks in a running test, which notice assertions that are none, and templates of a candidate."""

import types
from textwrap import dedent

import pytest

from testbudget.executors.execution.languages.base import Source
from testbudget.executors.execution.languages.python import programs
from testbudget.executors.execution.languages.python.test_run import run_test
from testbudget.rewards.problem import TestKind, Verdict

PASSED, ERRORED, UNCONFIRMED = Verdict.PASSED, Verdict.ERRORED, Verdict.UNCONFIRMED


def judged(text, add=lambda x, y: x + y):
    """Run of a test of ``add``."""
    module = types.ModuleType("solution")
    module.add = add
    source = Source(dedent(text), TestKind.ASSERT)
    program = programs.unpack_program(programs.compile_source(source, "add"))
    return run_test(module, program, lambda: True)


TEMPLATES = {
    "a result": "add(0, 0).format(u=u)",
    "an attribute": "O.text.format(u=u)",
    "an item": "[add(0, 0)][0].format(u=u)",
    "a sum": "(add(0, 0) + ' ').format(u=u)",
    "a mapping": "add(0, 0).format_map({'u': u})",
    "a method as a value": "(lambda f: f(u=u))(add(0, 0).format)",
    "the class's method": "str.format(add(0, 0), u=u)",
}


@pytest.mark.parametrize("filled", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("template", ["{u.x}", "{u[0]}", "a {u!r:>{u.x}}"])
def test_a_template_of_the_candidate_may_not_read_what_it_is_filled_with(filled, template):
    text = f"""
        class U:
            x = 1
            def __getitem__(self, key): return 1
        u = U()
        class O: text = add(0, 0)
        {filled}
        assert add(1, 2) == 3
        """
    run = judged(text, add=lambda x, y: x + y or template)
    assert run.verdict is UNCONFIRMED
    assert run.reason.sentence == "The test fills a template of the candidate's that reads attributes."


def test_templates_without_attributes_and_own_templates_are_filled():
    text = """
        import types
        class O:
            text = "{0.x} {1[0]}"
            format = lambda self, x: x
        assert O.text.format(types.SimpleNamespace(x=add(1, 2)), [1]) == "3 1"
        assert add("{:>3}", "{}").format(1, 2) == "  12" and add("{", "").count("{") == 1
        assert O().format(add(1, 2)) == 3
        match add(1, 2):
            case O.format: pass
            case 3: assert O.format(0, add(1, 2)) == 3
        """
    assert judged(text).verdict is PASSED


class Named:
    """Object of a candidate whose methods are named like assertions."""

    def __call__(self, *_):
        return self

    def __getattr__(self, _):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


NAMED_LIKE_ASSERTIONS = {
    "fail": "add(1, 2).fail()",
    "an assertion": "add(1, 2).assertEqual(1, 1)",
    "a check": "t = add(1, 2)\nt.assert_ready()",
    "another name": "fine = add(1, 2).assertEqual\nfine(1, 1)",
    "raises": "with add(1, 2).raises(10): pass",
    "warns": "with add(1, 2).warns(10), add(1, 2) as x: pass",
    "in a function of the test": "def f(): add(1, 2).assertTrue(True)\nf()",
    "in a lambda": "list(map(lambda x: add(1, 2).assertEqual(x), [1]))",
    "an exit": "if not add(1, 2): game.exit()",
    "the end of a loop": "for x in [1]:\n    if not add(1, 2): add(1, 2).fail()",
    "a handler": "try:\n    add(1, 2).fail()\n    1 / 0\nexcept ZeroDivisionError:\n    pass",
}


@pytest.mark.parametrize("text", NAMED_LIKE_ASSERTIONS.values(), ids=NAMED_LIKE_ASSERTIONS)
def test_what_is_only_named_like_an_assertion_is_none(text):
    run = judged(text, add=lambda *_: Named())
    assert (run.verdict, run.reason.sentence) == (ERRORED, "No assertion of the test ran.")


OWN_ASSERTIONS = {
    "a case as a value": "import unittest\ncase = unittest.TestCase()\ncase.assertEqual(add(1, 2), 3)",
    "a method as a value": (
        "import unittest, functools\nassert_equal = functools.partial(unittest.TestCase().assertEqual, 3)\n"
        "assert_equal(add(1, 2))"
    ),
    "another name": "import unittest\nequal = unittest.TestCase().assertEqual\nequal(add(1, 2), 3)",
    "another name of an import": (
        "from numpy.testing import assert_allclose as close\nclose(add(1, 2), 3)"
    ),
    "arguments given before": (
        "import unittest\nfrom functools import partial\n"
        "three = partial(unittest.TestCase().assertEqual, 3)\nthree(add(1, 2))"
    ),
    "a function in one line": (
        "import unittest\ncheck = lambda x, y: unittest.TestCase().assertEqual(add(x, 1), y)\ncheck(1, 2)"
    ),
    "an own function": "def assert_three(x):\n    if x != 3: raise ValueError\nassert_three(add(1, 2))",
    "a mock": "from unittest import mock\nm = mock.Mock()\nm(add(1, 2))\nm.assert_called_once_with(3)",
    "NumPy": "from numpy import testing\ntesting.assert_allclose(add(1, 2), 3)",
    "an imported end": "from sys import exit\nif add(1, 2) != 3: exit(1)",
}


@pytest.mark.parametrize("text", OWN_ASSERTIONS.values(), ids=OWN_ASSERTIONS)
def test_assertions_of_the_test_and_of_libraries_count(text):
    assert judged(text).verdict is PASSED

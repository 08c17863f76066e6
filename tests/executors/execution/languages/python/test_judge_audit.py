"""Events that show that data of a candidate would be run as a program."""

import collections
import contextlib
import dataclasses
import doctest
import enum
import logging.config
import os
import pickle
import timeit
import types
import typing

import pytest

from testbudget.executors.execution.languages.python.judge_audit import ForbiddenEventError, judge_audit

FORBIDDEN = {
    "doctest": lambda: doctest.DocTestRunner(verbose=False).run(
        doctest.DocTestParser().get_doctest(">>> 1 + 1\n2", {}, "name", None, 0)
    ),
    "a configuration of logging": lambda: logging.config.dictConfig(
        {"version": 1, "formatters": {"f": {"()": "timeit.timeit", "stmt": "1"}}}
    ),
    "annotations": lambda: typing.get_type_hints(types.SimpleNamespace(__annotations__={"x": "1 + 1"})),
    "pickles": lambda: pickle.loads(b"cos\nsystem\n."),
    "code objects": lambda: types.CodeType.replace(ran.__code__, co_name="x"),
    "functions": lambda: types.FunctionType(ran.__code__, {}),
    "commands": lambda: os.system("true"),
    "files of processes": lambda: open("/proc/self/mem", "rb"),  # noqa: PTH123, SIM115
}


def ran():
    """Function with a code object."""


@pytest.mark.parametrize("act", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_would_run_data_is_not_done(act):
    audit = judge_audit()
    with (
        audit.watching(runs_constants=True),
        contextlib.suppress(ForbiddenEventError, Exception),  # a library may have replaced it
    ):
        act()
    assert audit.reason is not None


def test_an_exception_that_was_handled_keeps_the_reason():
    audit = judge_audit()
    with audit.watching(runs_constants=True), contextlib.suppress(ForbiddenEventError):
        os.system("true")
    assert audit.reason is not None


HARMLESS = {
    "a named tuple": lambda: collections.namedtuple("A", "x y"),
    "a dataclass": lambda: dataclasses.make_dataclass("A", ["x"]),
    "an enumeration": lambda: enum.Enum("A", "ONE TWO"),
    "an annotation": lambda: typing.get_args(list["A"]),  # noqa: F821
    "a module": lambda: __import__("colorsys"),
    "a file": lambda: open(os.devnull),  # noqa: PTH123, SIM115
}


@pytest.mark.parametrize("act", HARMLESS.values(), ids=HARMLESS)
def test_what_honest_tests_do_is_allowed(act):
    audit = judge_audit()
    with audit.watching(runs_constants=False):
        act()
    assert audit.reason is None


def test_nothing_is_forbidden_outside_a_test():
    assert timeit.timeit("1", number=1) >= 0

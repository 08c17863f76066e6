"""Exceptions of a candidate that cross as plain data."""

import decimal
import json
import statistics
import unittest

import pytest

from testbudget.executors.execution.languages.python.raised import describe_exception, rebuild_exception
from testbudget.executors.execution.values import NotPlainError


def carried(error):
    """Exception that a test finds in place of another one."""
    description, arguments = describe_exception(error)
    return rebuild_exception(json.loads(json.dumps(description)), json.loads(arguments))


class OwnError(ValueError):
    """Class of a candidate."""


class ToldError(Exception):
    """Class of a candidate with a text of its own."""

    def __str__(self):
        return f"told {self.args[0]}"


def raised(function):
    try:
        function()
    except Exception as error:
        return error
    return None


CARRIED = {
    "no arguments": ValueError(),
    "a text": ValueError("wrong"),
    "several arguments": RuntimeError("a", 1, [2]),
    "a key": KeyError("k"),
    "a text with surrogates": ValueError("\ud83d\ude00"),
    "an error of the system": OSError(2, "missing"),
    "an error of an encoding": raised(b"\xff".decode),
    "a missing name": raised(lambda: no_such_name),  # noqa: F821
    "an error of a library": decimal.InvalidOperation("x"),
    "an error of statistics": raised(lambda: statistics.mean([])),
    "an exit": SystemExit(3),
    "an own class": OwnError("a", 1),
    "an own text": ToldError("x"),
}


@pytest.mark.parametrize("error", CARRIED.values(), ids=CARRIED)
def test_an_exception_arrives_as_it_was(error):
    arrived = carried(error)
    assert arrived.args == error.args
    assert str(arrived) == str(error)
    assert type(arrived).__name__ == type(error).__name__
    assert repr(arrived) == repr(error)
    if type(error).__module__ != __name__:
        assert type(arrived) is type(error)
    for name in ("errno", "strerror", "code", "name", "start"):
        assert getattr(arrived, name, None) == getattr(error, name, None)


def with_attribute():
    error = ValueError()
    error.place = 1
    return error


NOT_CARRIED = {
    "an attribute": with_attribute(),
    "a note": raised(lambda: (_ for _ in ()).throw(ValueError())),
    "an argument that is not plain": ValueError(object()),
    "a file name": OSError(2, "missing", "x.txt"),
    "a group": ExceptionGroup("many", [ValueError()]),
    "several built-in bases": type("Both", (KeyError, ValueError), {})("x"),
    "slots": type("Slots", (Exception,), {"__slots__": ("place",)})("x"),
}
NOT_CARRIED["a note"].add_note("note")


@pytest.mark.parametrize("error", NOT_CARRIED.values(), ids=NOT_CARRIED)
def test_an_exception_that_holds_more_is_not_plain(error):
    with pytest.raises(NotPlainError):
        describe_exception(error)


FORGED = {
    "a class of unittest": ["unittest.case", "SkipTest", "Exception", None, None],
    "an attribute of a module": ["re", "enum.EnumType", "Exception", None, None],
    "a class under another name": ["random", "_Random", "Exception", None, None],
}


@pytest.mark.parametrize("description", FORGED.values(), ids=FORGED)
def test_a_class_comes_from_a_harmless_module_under_its_own_name_or_is_made_anew(description):
    error = rebuild_exception(description, [])
    assert type(error).__module__ == "solution"
    assert not isinstance(error, unittest.SkipTest)


INVALID = {
    "no list": (None, []),
    "no exception": (["builtins", "int", "int", None, None], []),
    "no builtin": (["x", "Own", "Own", None, None], []),
    "no arguments": (["builtins", "ValueError", "ValueError", None, None], {"tuple": [1]}),
}


@pytest.mark.parametrize(("description", "arguments"), INVALID.values(), ids=INVALID)
def test_a_text_that_describes_no_exception_is_refused(description, arguments):
    with pytest.raises(ValueError, match="exception"):
        rebuild_exception(description, arguments)

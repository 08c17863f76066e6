"""Checks of assertions on what does not survive the way between two processes."""

from __future__ import annotations

import contextlib
import dis
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any

_IMMUTABLE = frozenset({str, int, float, complex, bytes, tuple, frozenset})
LOST_IDENTITY = "The identity of immutable values is not carried between two processes."
"""Reason for assertions that may fail because of it."""


@contextlib.contextmanager
def identity_checks(lose: Callable[[str], None], note_same: Callable[[Any], None]) -> Iterator[None]:
    """Note assertions on the identity of equal immutable values, which each process holds for itself.

    Args:
        lose: function to call with a sentence if no verdict is certain.
        note_same: function to call with what was found to be the same object.
    """
    case: Any = unittest.TestCase
    original_is, original_is_not = case.assertIs, case.assertIsNot

    def check(one: Any, other: Any) -> None:
        if one is not other and type(one) is type(other) and type(one) in _IMMUTABLE and one == other:
            lose(LOST_IDENTITY)

    def assert_is(self: unittest.TestCase, expr1: Any, expr2: Any, msg: Any = None) -> None:
        check(expr1, expr2)
        original_is(self, expr1, expr2, msg)
        note_same(expr1)

    def assert_is_not(self: unittest.TestCase, expr1: Any, expr2: Any, msg: Any = None) -> None:
        check(expr1, expr2)
        original_is_not(self, expr1, expr2, msg)

    case.assertIs, case.assertIsNot = assert_is, assert_is_not
    try:
        yield
    finally:
        case.assertIs, case.assertIsNot = original_is, original_is_not


def compares_identity(code: types.CodeType, line: int) -> bool:
    """Return whether a line of a test uses ``is``."""
    return any(
        instruction.opname == "IS_OP"
        and instruction.positions is not None
        and instruction.positions.lineno == line
        for instruction in dis.get_instructions(code)
    ) or any(compares_identity(part, line) for part in code.co_consts if isinstance(part, types.CodeType))

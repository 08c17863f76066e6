"""Checks of assertions on what does not survive the way between two processes."""

from __future__ import annotations

import contextlib
import unittest
from collections.abc import Callable, Iterator
from typing import Any

_IMMUTABLE = frozenset({str, int, float, complex, bytes, tuple, frozenset})
_LOST = "The identity of immutable values is not carried between two processes."


@contextlib.contextmanager
def identity_checks(lose: Callable[[str], None]) -> Iterator[None]:
    """Note assertions on the identity of equal immutable values, which each process holds for itself."""
    case: Any = unittest.TestCase
    original_is, original_is_not = case.assertIs, case.assertIsNot

    def check(one: Any, other: Any) -> None:
        if one is not other and type(one) is type(other) and type(one) in _IMMUTABLE and one == other:
            lose(_LOST)

    def assert_is(self: unittest.TestCase, expr1: Any, expr2: Any, msg: Any = None) -> None:
        check(expr1, expr2)
        original_is(self, expr1, expr2, msg)

    def assert_is_not(self: unittest.TestCase, expr1: Any, expr2: Any, msg: Any = None) -> None:
        check(expr1, expr2)
        original_is_not(self, expr1, expr2, msg)

    case.assertIs, case.assertIsNot = assert_is, assert_is_not
    try:
        yield
    finally:
        case.assertIs, case.assertIsNot = original_is, original_is_not

"""Facts from the code of a test, and checks of assertions on what does not survive the way between processes."""

from __future__ import annotations

import contextlib
import re
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
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


def _texts(code: types.CodeType) -> Iterator[str]:
    """Texts among the constants of a program, at any depth."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _texts(constant)
        elif type(constant) is str:
            yield constant


def dotted_constants(code: types.CodeType) -> tuple[str, ...]:
    """Texts among the constants of a test that may name what it patches."""
    return tuple({text for text in _texts(code) if _DOTTED.fullmatch(text)})

"""Tests that can judge no candidate, found in their codes before anything is executed."""

import ast
import re
from collections.abc import Iterator

from testbudget.executors.generation.extraction.answers import Rejection
from testbudget.rewards.problem import TestKind
from testbudget.traces.forms.called_names import parsed_python

_ENDINGS = frozenset({"deprecated_call", "exit", "_exit", "quit", "raises", "warns"})


def reason_to_reject(code: str, kind: TestKind, language: str, entry_point: str | None) -> Rejection | None:
    """Reason why a given test cannot judge: no candidate can pass it.

    None unless that is certain. Tests in other languages than Python are searched for the entry point only.

    Args:
        code: the test.
        kind: its form.
        language: language of the test.
        entry_point: name of the function or class under test; None if it is unknown.
    """
    if kind is TestKind.STDIN:
        return None
    if language == "python":
        module = parsed_python(code)
        if module is None:
            return Rejection.DOES_NOT_PARSE
        if not ("assert" in code or any(map(_may_assert, ast.walk(module)))):
            return Rejection.NO_ASSERTION
    if entry_point is None or kind is TestKind.CHECK:  # which calls what it is given
        return None
    used = any(re.search(rf"\b{re.escape(name)}\b", code) for name in entry_point.split("."))
    return None if used else Rejection.ENTRY_POINT_UNUSED


def _may_assert(node: ast.AST) -> bool:
    """Return whether a node may be an assertion, or the end of a test that found a wrong value."""
    return isinstance(node, ast.Assert | ast.Raise) or any(
        name.startswith("fail") or name in _ENDINGS for name in _named(node)
    )


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.alias):
        yield node.name

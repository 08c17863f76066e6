"""Marks in a Python test that tell whether an assertion ran, and what the failed one compared.

After each assertion that held, the test calls ``RAN``. While an ``assert`` statement compares two values,
they are the variables ``GIVEN`` and ``EXPECTED`` of its frame. These names are no identifiers, so the test
cannot use them.
"""

import ast
from collections.abc import Iterable, Sequence
from typing import Any

RAN = "@ran"
"""Name of the function that is called after an assertion."""

GIVEN, EXPECTED = "@given", "@expected"
"""Names of the operands of an assertion that is being checked."""

_ENDS = frozenset({"exit", "quit", "_exit", "fail"})
_STORE = ast.Store()
# One node for all places: a call that cannot fail is in no traceback.
_MARK = ast.fix_missing_locations(ast.Expr(ast.Call(ast.Name(RAN, ast.Load()), [], [])))
_CLEARED = ast.Constant(..., lineno=1, col_offset=0)
_EXPECTS = frozenset({"raises", "warns", "deprecated_call"})


def mark_assertions(tree: ast.Module) -> None:
    """Add marks to the syntax tree of a test, in place."""
    tree.body = _marked(tree.body, in_class=False)


def _marked(body: Sequence[ast.stmt], *, in_class: bool) -> list[ast.stmt]:
    """Statements with marks."""
    marked: list[ast.stmt] = []
    for statement in body:
        match statement:
            case ast.Assert():
                marked += _marked_assert(statement, in_class=in_class)
                continue
            case ast.Expr():
                marked.append(statement)
                if _asserts(statement.value):
                    marked.append(_MARK)
                continue
            case ast.With() | ast.AsyncWith():
                statement.body = _marked(statement.body, in_class=in_class)
                marked.append(statement)
                if any(_asserts(item.context_expr) for item in statement.items):
                    marked.append(_MARK)
                continue
            case ast.If() | ast.For() | ast.While() | ast.AsyncFor() | ast.Match() if _may_raise(statement):
                marked.append(_MARK)
            case ast.Try() | ast.TryStar():
                expects = any(_ends_test(part) for part in [*statement.body, *statement.orelse])
                for handler in statement.handlers:
                    handler.body = _marked(handler.body, in_class=in_class)
                    if expects:
                        handler.body.insert(0, _MARK)
        _mark_parts(statement, in_class=in_class)
        marked.append(statement)
    return marked


def _mark_parts(statement: ast.stmt, *, in_class: bool) -> None:
    """Add marks to the statements in a statement."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        in_class = False
    elif isinstance(statement, ast.ClassDef):
        in_class = True
    elif isinstance(statement, ast.Match):
        for case in statement.cases:
            case.body = _marked(case.body, in_class=in_class)
        return
    compound: Any = statement
    for name in ("body", "orelse", "finalbody"):
        if parts := getattr(compound, name, None):
            setattr(compound, name, _marked(parts, in_class=in_class))


def _marked_assert(statement: ast.Assert, *, in_class: bool) -> list[ast.stmt]:
    """Assertion that keeps its operands while it is checked."""
    names: tuple[str, ...]
    if in_class:  # its variables would become attributes of the class
        return [statement, _MARK]
    match statement.test:
        case ast.Compare(left=left, comparators=[right]):
            swapped = isinstance(left, ast.Constant)
            names = (EXPECTED, GIVEN) if swapped else (GIVEN, EXPECTED)
            statement.test.left = _kept(names[0], left)
            statement.test.comparators = [_kept(names[1], right)]
        case ast.Call() | ast.Name() | ast.Attribute() | ast.Subscript():
            names = (GIVEN,)
            statement.test = _kept(GIVEN, statement.test)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            names = (GIVEN,)
            statement.test.operand = _kept(GIVEN, operand)
        case _:
            return [statement, _MARK]
    # An operand must not live longer than it would without the marks.
    place = _place(statement)
    targets: list[ast.expr] = [ast.Name(name, _STORE, **place) for name in names]
    return [statement, ast.Assign(targets, _CLEARED, **place), _MARK]


def _kept(name: str, value: ast.expr) -> ast.expr:
    place = _place(value)
    return ast.NamedExpr(ast.Name(name, _STORE, **place), value, **place)


def _place(node: ast.expr | ast.stmt) -> dict[str, Any]:
    return {
        "lineno": node.lineno,
        "col_offset": node.col_offset,
        "end_lineno": node.end_lineno,
        "end_col_offset": node.end_col_offset,
    }


def _asserts(expression: ast.expr) -> bool:
    """Return whether an expression calls an assertion method or function."""
    if isinstance(expression, ast.Await):
        expression = expression.value
    if isinstance(expression, ast.Call) and (name := _called(expression)):
        if name.startswith("assert") or name in _EXPECTS or name == "fail":
            return True
        if not any(
            isinstance(part, ast.Lambda | ast.GeneratorExp | ast.ListComp) for part in expression.args
        ):
            return False
    elif isinstance(expression, ast.Constant | ast.Name | ast.Attribute):
        return False
    return any(
        isinstance(part, ast.Call) and _called(part).startswith("assert") for part in ast.walk(expression)
    )


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _may_raise(statement: Any) -> bool:
    """Return whether a branch of a statement ends the test."""
    parts: Iterable[ast.stmt] = statement.orelse if not isinstance(statement, ast.Match) else ()
    if isinstance(statement, ast.If):
        parts = [*statement.body, *parts]
    elif isinstance(statement, ast.Match):
        parts = [part for case in statement.cases for part in case.body]
    return any(map(_ends_test, parts))


def _ends_test(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise() | ast.Assert():
            return True
        case ast.Expr(value=ast.Call() as call):
            return _called(call) in _ENDS
        case ast.If():
            return _may_raise(statement)
    return False

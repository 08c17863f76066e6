"""Marks in a Python test that tell whether an assertion ran, and what the failed one compared.

After each assertion that held, the test calls ``RAN``. What is only named like an assertion may be a method
of the candidate: such a function goes through ``NAMED`` before it is called, and the test calls ``HELD``
after it. While an ``assert`` statement compares two values, they are the variables ``GIVEN`` and
``EXPECTED`` of its frame. A method that fills a template goes through ``TEMPLATE``, and so does through
``NUMBER`` what a test passes for not being greater, less or equal. These names are no identifiers, so the
test cannot use them. `RunningMarks` gives them their values.
"""

import ast
from collections.abc import Iterable, Sequence
from typing import Any

RAN = "@ran"
"""Name of the function that is called after an assertion."""

NAMED = "@named"
"""Name of the function that each function goes through that is named like an assertion."""

HELD = "@held"
"""Name of the function that is called after the call of a function that is named like an assertion."""

TEMPLATE = "@template"
"""Name of the function that each attribute ``format`` and ``format_map`` goes through."""

NUMBER = "@number"
"""Name of the function that operands go through of comparisons, and of functions such as ``max``."""

ARRAY = "@array"
"""Name of the function that each object goes through which may be an empty array."""

SAME = "@same"
"""Name of the function that is called with what an ``assert`` has found to be the same object."""

GIVEN, EXPECTED = "@given", "@expected"
"""Names of the operands of an assertion that is being checked."""

_ENDS = frozenset({"exit", "quit", "_exit", "fail"})
_ENDS_OF = {
    "sys": {"exit"},
    "os": {"_exit"},
    "builtins": {"exit", "quit"},
    "pytest": {"exit", "fail"},
    "self": {"fail"},
    "cls": {"fail"},
}
_NEGATED = frozenset({"assertFalse", "assertEqual", "assertIs", "assertNotEqual"})
_TEMPLATES = frozenset({"format", "format_map"})
_NO_ORDER = (ast.Is, ast.IsNot, ast.In, ast.NotIn, ast.NotEq)
_STORE = ast.Store()
# One node for all places: a call that cannot fail is in no traceback.
_MARK, _HELD_MARK = (
    ast.fix_missing_locations(ast.Expr(ast.Call(ast.Name(name, ast.Load()), [], [])))
    for name in (RAN, HELD)
)
_SAME_MARK = ast.fix_missing_locations(
    ast.Expr(ast.Call(ast.Name(SAME, ast.Load()), [ast.Name(GIVEN, ast.Load())], []))
)
_CLEARED = ast.Constant(..., lineno=1, col_offset=0)
_EXPECTS = frozenset({"raises", "warns", "deprecated_call"})


def mark_assertions(tree: ast.Module) -> None:
    """Add marks on assertions to the syntax tree of a test, in place."""
    _Marker(tree).mark(tree)


def mark_templates(tree: ast.Module) -> None:
    """Add marks on what fills templates to the syntax tree of a test, in place."""
    _TemplateMarks().visit(tree)


class _TemplateMarks(ast.NodeTransformer):
    """Marks on what fills templates, wherever it is used."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if node.attr in _TEMPLATES and isinstance(node.ctx, ast.Load):
            return through(TEMPLATE, node)
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.pattern:
        return node  # a pattern may hold no call

    def visit_MatchClass(self, node: ast.MatchClass) -> ast.pattern:
        return node


def through(name: str, node: ast.expr) -> ast.Call:
    """Call of a function of marks with an expression."""
    place = _place(node)
    return ast.Call(ast.Name(name, ast.Load(), **place), [node], [], **place)


def _marked_assert(statement: ast.Assert, *, in_class: bool) -> list[ast.stmt]:
    """Assertion that keeps its operands while it is checked."""
    names: tuple[str, ...]
    is_same = False
    if in_class:  # its variables would become attributes of the class
        return [statement, _MARK]
    match statement.test:
        case ast.Compare(left=left, ops=[operation], comparators=[right]):
            is_same = isinstance(operation, ast.Is)
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
    cleared = ast.Assign(targets, _CLEARED, **place)
    return [statement, *([_SAME_MARK] if is_same else []), cleared, _MARK]


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


def _mark_numbers(expression: ast.expr, *, negated: bool) -> None:
    """Mark the operands of comparisons that need not hold.

    Args:
        expression: condition of the test.
        negated: True if the test goes on where the condition does not hold.
    """
    match expression:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            if negated and not any(isinstance(op, _NO_ORDER) for op in ops):
                expression.left = number(left)
                expression.comparators = list(map(number, comparators))
        case ast.BoolOp(values=values):
            for value in values:
                _mark_numbers(value, negated=negated)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _mark_numbers(operand, negated=True)
        case ast.Call(func=ast.Name(id="all" | "any" | "bool"), args=arguments):
            for argument in arguments:
                _mark_numbers(argument, negated=negated)
        case ast.Call(func=ast.Attribute(value=ast.Name()), args=arguments):  # of NumPy
            for argument in arguments:
                _mark_numbers(argument, negated=negated)
        case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element):
            _mark_numbers(element, negated=negated)


def number(operand: ast.expr) -> ast.expr:
    """Operand with a mark on its number, unless it has one or is a constant."""
    match operand:
        case ast.Constant() | ast.Call(func=ast.Name(id="@number")):
            return operand
    return through(NUMBER, operand)


def _holds_assertion(value: ast.expr) -> bool:
    """Return whether a value is a function that asserts, under whatever name."""
    match value:
        case ast.Attribute(attr=name):
            return name.startswith("assert")
        case ast.Lambda(body=part) | ast.Call(args=[part, *_]):
            return any(
                isinstance(one, ast.Attribute) and one.attr.startswith("assert") for one in ast.walk(part)
            )
    return False


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


class _Marker:
    """Marks on the assertions of one test."""

    def __init__(self, tree: ast.Module) -> None:
        self._ends = {"exit", "quit"}  # functions that end the test
        self._asserting: set[str] = set()  # other names of functions that assert
        for statement in tree.body:
            match statement:
                case ast.ImportFrom(names=names, module=module):
                    ends = _ENDS_OF.get(module or "", set())
                    self._ends.update(ends.intersection(alias.asname or alias.name for alias in names))
                case ast.FunctionDef(name=name) if name in _ENDS:
                    self._ends.add(name)

    def mark(self, tree: ast.Module) -> None:
        """Mark all statements of the test."""
        tree.body = self._marked(tree.body, in_class=False)

    def _marked(self, body: Sequence[ast.stmt], *, in_class: bool) -> list[ast.stmt]:
        """Statements with marks."""
        marked: list[ast.stmt] = []
        for statement in body:
            self._note_names(statement)
            match statement:
                case ast.Assert():
                    _mark_numbers(statement.test, negated=False)
                    marked += _marked_assert(statement, in_class=in_class)
                    continue
                case ast.Expr():
                    marked.append(statement)
                    if self._marks_calls(statement.value):
                        marked.append(_HELD_MARK)
                    continue
                case ast.With() | ast.AsyncWith():
                    statement.body = self._marked(statement.body, in_class=in_class)
                    marked.append(statement)
                    calls = [self._marks_calls(item.context_expr) for item in statement.items]
                    if any(calls):
                        marked.append(_HELD_MARK)
                    continue
                case ast.If(test=test) if self._may_raise(statement):
                    _mark_numbers(test, negated=True)
                    marked.append(_MARK)
                case ast.For() | ast.While() | ast.AsyncFor() | ast.Match() if self._may_raise(statement):
                    marked.append(_MARK)
                case ast.Try() | ast.TryStar():
                    expects = any(self._ends_test(part) for part in [*statement.body, *statement.orelse])
                    for handler in statement.handlers:
                        handler.body = self._marked(handler.body, in_class=in_class)
                        if expects:
                            handler.body.insert(0, _MARK)
            self._mark_parts(statement, in_class=in_class)
            marked.append(statement)
        return marked

    def _note_names(self, statement: ast.stmt) -> None:
        """Note other names that a statement gives to functions that assert."""
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _holds_assertion(value):
                self._asserting.add(name)
            case ast.ImportFrom(names=aliases):
                self._asserting.update(
                    alias.asname for alias in aliases if alias.asname and alias.name.startswith("assert")
                )

    def _marks_calls(self, expression: ast.expr) -> bool:
        """Mark functions that are named like assertions, and return whether an expression calls any."""
        if isinstance(expression, ast.Await):
            expression = expression.value
        if isinstance(expression, ast.Call) and (name := _called(expression)):
            if name.startswith("assert") or name in _EXPECTS or name == "fail" or name in self._asserting:
                for argument in expression.args[:2]:
                    _mark_numbers(argument, negated=name in _NEGATED)
                expression.func = through(NAMED, expression.func)
                return True
            if not any(
                isinstance(part, ast.Lambda | ast.GeneratorExp | ast.ListComp) for part in expression.args
            ):
                return False
        elif isinstance(expression, ast.Constant | ast.Name | ast.Attribute):
            return False
        calls = [
            part
            for part in ast.walk(expression)
            if isinstance(part, ast.Call) and _called(part).startswith("assert")
        ]
        for call in calls:
            call.func = through(NAMED, call.func)
        return bool(calls)

    def _mark_parts(self, statement: ast.stmt, *, in_class: bool) -> None:
        """Add marks to the statements in a statement."""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            in_class = False
        elif isinstance(statement, ast.ClassDef):
            in_class = True
        elif isinstance(statement, ast.Match):
            for case in statement.cases:
                case.body = self._marked(case.body, in_class=in_class)
            return
        compound: Any = statement
        for name in ("body", "orelse", "finalbody"):
            if parts := getattr(compound, name, None):
                setattr(compound, name, self._marked(parts, in_class=in_class))

    def _may_raise(self, statement: Any) -> bool:
        """Return whether a branch of a statement ends the test."""
        parts: Iterable[ast.stmt] = statement.orelse if not isinstance(statement, ast.Match) else ()
        if isinstance(statement, ast.If):
            parts = [*statement.body, *parts]
        elif isinstance(statement, ast.Match):
            parts = [part for case in statement.cases for part in case.body]
        return any(map(self._ends_test, parts))

    def _ends_test(self, statement: ast.stmt) -> bool:
        match statement:
            case ast.Raise() | ast.Assert():
                return True
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
                return name in self._ends
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=base), attr=name))):
                return name in _ENDS_OF.get(base, ())
            case ast.If():
                return self._may_raise(statement)
        return False

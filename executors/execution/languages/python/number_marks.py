"""Marks in a Python test on numbers that have no order, and on arrays that may have no elements.

What a test compares by order, or passes to a built-in function such as ``max``, goes through ``NUMBER``.
Operands of arithmetic and of equality go through ``ARRAY`` if the test may use NumPy, and so does every
object whose method reduces it.
"""

import ast

from testbudget.executors.execution.languages.python.assertion_marks import ARRAY, number, through

_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_EQUALITY = (ast.Eq, ast.NotEq)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
_MEASURES = frozenset({"max", "min", "sorted", "sum", "abs", "all", "any"})
_REDUCTIONS = frozenset({"all", "any", "sum", "max", "min", "prod", "mean", "std", "var", "dot", "nonzero"})


def mark_numbers(tree: ast.Module, *, uses_arrays: bool) -> None:
    """Add marks on numbers and arrays to the syntax tree of a test, in place.

    Args:
        tree: syntax tree.
        uses_arrays: True if the test may use NumPy.
    """
    _NumberMarks(uses_arrays=uses_arrays).visit(tree)


class _NumberMarks(ast.NodeTransformer):
    """Marks on numbers and arrays, wherever they are used."""

    def __init__(self, *, uses_arrays: bool) -> None:
        self._uses_arrays = uses_arrays

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        if any(isinstance(operator, _ORDER) for operator in node.ops):
            node.left = number(node.left)
            node.comparators = list(map(number, node.comparators))
        elif self._uses_arrays and any(isinstance(operator, _EQUALITY) for operator in node.ops):
            node.left = _array(node.left)
            node.comparators = list(map(_array, node.comparators))
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if self._uses_arrays and isinstance(node.op, _ARITHMETIC):
            node.left, node.right = _array(node.left), _array(node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        if not (self._uses_arrays and isinstance(node.op, _ARITHMETIC)):
            return node
        node.value = _array(node.value)
        if not isinstance(node.target, ast.Name):
            return node
        changed = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        return [ast.copy_location(ast.Expr(_array(changed)), node), node]

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        match node.func:
            case ast.Name(id=name) if name in _MEASURES:
                node.args = list(map(_measured, node.args))
                for keyword in node.keywords:
                    if isinstance(keyword.value, ast.Lambda):
                        keyword.value.body = number(keyword.value.body)
            case ast.Attribute(attr="sort"):
                node.func.value = number(node.func.value)
            case ast.Attribute(attr=name) if name in _REDUCTIONS:
                node.func.value = _array(node.func.value)
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.match_case:
        if node.guard is not None:  # a pattern may hold no call
            node.guard = self.visit(node.guard)
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is not None:  # an annotation may be kept as text
            node.value = self.visit(node.value)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return node


def _measured(argument: ast.expr) -> ast.expr:
    """Argument with marks on what it is, or on what it gives one after the other."""
    match argument:
        case ast.GeneratorExp(elt=element):
            argument.elt = number(element)
        case ast.Call(func=ast.Name(id="map"), args=[ast.Lambda() as function, *_]):
            function.body = number(function.body)
        case ast.Starred(value=value):
            argument.value = number(value)
        case _:
            return number(argument)
    return argument


def _array(operand: ast.expr) -> ast.expr:
    return operand if isinstance(operand, ast.Constant) else through(ARRAY, operand)

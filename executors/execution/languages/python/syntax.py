"""Parts of the syntax tree of a Python test."""

import ast
import builtins
from collections.abc import Iterable, Iterator

BUILTINS = frozenset(vars(builtins)) | {"__name__", "__file__", "__doc__", "exit", "quit"}
"""Names that a program need not define."""


def pytest_names(tree: ast.Module) -> Iterator[str]:
    """Functions and classes at the top level that pytest would run, and ``check``, in order."""
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name="check", args=ast.arguments(args=[_], defaults=[])):
                yield "check"
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test"):
                yield name
            case ast.ClassDef(name=name) if name.startswith("Test"):
                yield name


def top_level_functions(tree: ast.Module) -> Iterator[str]:
    """Functions that a test defines at its top level."""
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
                yield name


def is_singleton(node: ast.expr) -> bool:
    """Return whether an expression is an object of which there is only one, such as None."""
    match node:
        case ast.Constant(value=value):
            return value is None or value is ... or isinstance(value, bool)
        case ast.Name(id=name):
            return name in BUILTINS
    return False


def names_in(expressions: Iterable[ast.expr]) -> Iterator[str]:
    """Names in expressions, in any order."""
    for expression in expressions:
        for node in ast.walk(expression):
            if isinstance(node, ast.Name):
                yield node.id

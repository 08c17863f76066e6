"""Top-level statements of a Python text: which names they bind, change and need."""

import ast
import functools
import symtable
import warnings
from collections.abc import Iterator

PARSER_ERRORS = (SyntaxError, ValueError, MemoryError, RecursionError)
"""Errors of Python's parser and of ``ast.unparse``, also on deep nesting, null bytes or long numbers."""

PYTHON_TAGS = ("python", "python3", "py", "py3", "python2", "pycon", "")
"""Language tags of fenced blocks with Python code."""

_NO_TREES = frozenset({"ctx", "op", "ops", "id", "attr", "type_comment"})
_FIELDS = {
    kind: tuple(name for name in kind._fields if name not in _NO_TREES and kind is not ast.Constant)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
"""Fields of each kind of node that may hold nodes, but contexts and operators."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
"""Statement that defines a function or a class."""


def parse_python(text: str) -> ast.Module | None:
    """Parse a text; None if it is no Python program."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in strings
            return ast.parse(text)
    except PARSER_ERRORS:
        return None


@functools.lru_cache(maxsize=16)  # a block is asked for several times in a row
def parses(text: str) -> bool:
    """Return whether a text is a Python program with at least one statement."""
    module = parse_python(text)
    return module is not None and bool(module.body)


def nodes_of(tree: ast.AST) -> list[ast.AST]:
    """A node and all below it but contexts and operators, level by level.

    It takes less than half the time of ``ast.walk``, and reading an answer is little else than walks.
    """
    found = [tree]
    for node in found:
        held = vars(node)
        for name in _FIELDS[type(node)]:
            value = held.get(name)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [part for part in value if isinstance(part, ast.AST)]
    return found


def bound_names(statement: ast.stmt) -> set[str]:
    """Module-level names that a top-level statement binds."""
    if isinstance(statement, Definition):
        return {statement.name}
    names: set[str] = set()
    for node in outside_functions(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, Definition):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def changed_names(statement: ast.stmt) -> set[str]:
    """Names of objects that a top-level statement may change in place when it runs.

    These are the objects whose attributes or items it assigns or deletes, those whose methods it calls for
    their effect, and the arguments of calls that it makes for their effect.
    """
    names: set[str] = set()
    for node in outside_functions(statement):
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            names |= {_root(node)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            names |= {_root(call.func)} if isinstance(call.func, ast.Attribute) else set()
            names |= {_root(argument) for argument in call.args}
    return names - {""}


def needed_names(statement: ast.stmt) -> set[str]:
    """Global names that a statement uses, in its functions and classes too."""
    try:
        table = symtable.symtable(ast.unparse(statement), "<statement>", "exec")
    except PARSER_ERRORS:
        return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return set(_globals_of(table))


def calls_name(statement: ast.stmt, name: str) -> bool:
    """Return whether a statement calls a function by this name when it runs, not only when it is called."""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for node in outside_functions(statement)
    )


def method_names(statement: ast.stmt) -> set[str]:
    """Names of the methods that a class statement defines; empty for any other statement."""
    if not isinstance(statement, ast.ClassDef):
        return set()
    return {
        node.name for node in statement.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _globals_of(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        at_top = table.get_type() == "module"
        if (at_top and symbol.is_referenced()) or (not at_top and symbol.is_global()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals_of(inner)


def outside_functions(statement: ast.AST) -> Iterator[ast.AST]:
    """A node and the nodes below it, without the bodies of functions."""
    yield statement
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
        else:
            yield from outside_functions(child)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""

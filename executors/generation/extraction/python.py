"""Extraction of Python tests: one ``unittest.TestCase`` class and the statements it depends on.

The first such class with test methods is kept, with the imports, helpers and constants that it refers to.
All other statements, ``unittest.main()`` among them, are dropped. The code is the output of
``ast.unparse``, without comments.
"""

import ast
import re
import sys
import warnings

from testbudget.executors.generation.extraction.answers import (
    Rejection,
    UnusableError,
    fenced_blocks,
    without_reasoning,
)

TAGS = ("python", "python3", "py", "")
"""Language tags of fenced blocks with Python code."""

_LOOKS_LIKE_PYTHON = re.compile(r"^(?:import |from |class |def |async def |@)", re.MULTILINE)
# Of Python's parser and ast.unparse, on deep nesting, null bytes or very long numbers.
_PARSER_ERRORS = (SyntaxError, ValueError, MemoryError, RecursionError)
_IMPORTS_OFTEN_FORGOTTEN = {"unittest": "import unittest", "TestCase": "from unittest import TestCase"}


def extract_python_test(text: str, entry_point: str) -> str:
    """Unit test in an answer.

    Args:
        text, entry_point: as for `extract_unit_test`.

    Raises:
        UnusableError: the answer holds no usable test.
    """
    module = _parse_beginning(_python_source(text))
    try:
        module = _EntryPointRestorer(module, entry_point).visit(module)
        kept = _with_dependencies(_first_test_class(module), module, entry_point)
        used = {name for statement in kept for name in _used_names(statement)}
        if entry_point not in used:
            raise UnusableError(Rejection.ENTRY_POINT_UNUSED)
        if not any(_asserts(node) for statement in kept for node in ast.walk(statement)):
            raise UnusableError(Rejection.NO_ASSERTION)
        bound = {name for statement in kept for name in _bound_names(statement)}
        forgotten = [line for name, line in _IMPORTS_OFTEN_FORGOTTEN.items() if name in used - bound]
        code = ast.unparse(ast.fix_missing_locations(ast.Module(body=kept, type_ignores=[])))
    except _PARSER_ERRORS as error:
        raise UnusableError(Rejection.DOES_NOT_PARSE) from error
    return "\n".join([*forgotten, code]) + "\n"


def python_normal_form(code: str) -> str:
    """Code as ``ast.unparse`` writes it, without comments and docstrings.

    Code that does not parse is unchanged.
    """
    try:
        module = _parse(code)
        for node in ast.walk(module):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and (
                ast.get_docstring(node, clean=False) is not None
            ):
                node.body = node.body[1:] or [ast.Pass()]
        return ast.unparse(module)
    except _PARSER_ERRORS:
        return code


def _python_source(text: str) -> str:
    """Code that holds the test: the first block that contains ``TestCase``, or the bare text."""
    blocks = fenced_blocks(text, TAGS)
    if blocks:
        return next((block for block in blocks if "TestCase" in block), blocks[0])
    bare = without_reasoning(text)
    beginning = _LOOKS_LIKE_PYTHON.search(bare)
    if beginning is None:
        raise UnusableError(Rejection.NO_CODE)
    return bare[beginning.start() :]


def _parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in strings
        return ast.parse(source)


def _parse_beginning(source: str) -> ast.Module:
    """Longest beginning that parses, found by cutting at the lines where the parser fails."""
    lines = source.split("\n")
    while lines:
        try:
            module = _parse("\n".join(lines))
        except SyntaxError as error:
            failed_at = error.lineno or len(lines)
            del lines[min(failed_at, len(lines)) - 1 :]
        except _PARSER_ERRORS as error:
            raise UnusableError(Rejection.DOES_NOT_PARSE) from error
        else:
            if module.body:
                return module
            break
    raise UnusableError(Rejection.DOES_NOT_PARSE)


class _EntryPointRestorer(ast.NodeTransformer):
    """Removal of definitions and imports that would replace the candidate."""

    def __init__(self, module: ast.Module, entry_point: str) -> None:
        self._entry_point = entry_point
        self._foreign_modules = {
            alias.asname or alias.name
            for node in ast.walk(module)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name.partition(".")[0] not in sys.stdlib_module_names
        }

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        """Replace ``from solution import f as g`` by ``g = f``; remove the import without an alias."""
        imported = [alias for alias in node.names if alias.name == self._entry_point]
        if not imported:
            return node
        alias = imported[0].asname
        return ast.parse(f"{alias} = {self._entry_point}").body[0] if alias else ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Replace ``solution.f`` by ``f``."""
        self.generic_visit(node)
        if (
            node.attr == self._entry_point
            and isinstance(node.value, ast.Name)
            and node.value.id in self._foreign_modules
        ):
            return ast.Name(self._entry_point, node.ctx)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        """Remove a copy of the entry point, at the top level or inside a test method."""
        return self._definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        """Remove a copy of the entry point."""
        return self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        """Remove a copy of the entry point."""
        return self._definition(node)

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.stmt:
        self.generic_visit(node)
        return ast.Pass() if node.name == self._entry_point else node


def _first_test_class(module: ast.Module) -> ast.ClassDef:
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    test_classes = [node for node in classes.values() if _is_test_case(node, classes)]
    with_tests = [node for node in test_classes if any(_is_test_method(member) for member in node.body)]
    if not with_tests:
        raise UnusableError(Rejection.NO_TEST_METHOD if test_classes else Rejection.NO_TEST_CLASS)
    return with_tests[0]


def _is_test_case(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> bool:
    for base in node.bases:
        name = (
            base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
        )
        if name in ("TestCase", "IsolatedAsyncioTestCase"):
            return True
        parent = classes.get(name)
        # Only earlier classes: a later class may bind the name of its own ancestor again.
        if parent is not None and parent.lineno < node.lineno and _is_test_case(parent, classes):
            return True
    return False


def _is_test_method(node: ast.stmt) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test")


def _asserts(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr.startswith(("assert", "fail"))
    return isinstance(node, ast.Assert)


def _with_dependencies(test_class: ast.ClassDef, module: ast.Module, entry_point: str) -> list[ast.stmt]:
    """Test class and top-level statements that bind names it depends on, in the order of the answer."""
    kept: set[ast.stmt] = {test_class, *filter(_imports_everything, module.body)}
    needed = _used_names(test_class)
    while True:
        more = {
            statement
            for statement in module.body
            if statement not in kept and _bound_names(statement) & (needed - {entry_point})
        }
        if not more:
            return [statement for statement in module.body if statement in kept]
        kept |= more
        needed |= {name for statement in more for name in _used_names(statement)}


def _imports_everything(statement: ast.stmt) -> bool:
    """Return whether a statement imports all names of a module of the standard library."""
    return (
        isinstance(statement, ast.ImportFrom)
        and statement.names[0].name == "*"
        and (statement.module or "").partition(".")[0] in sys.stdlib_module_names
    )


def _used_names(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _bound_names(statement: ast.stmt) -> set[str]:
    """Module-level names that a statement binds."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names

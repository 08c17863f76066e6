"""Python tests: one ``unittest.TestCase`` class and what it needs.

Kept are the first such class that has test methods, and the imports, helpers and constants that it refers
to; not ``unittest.main()``, and nothing else. A test is what Python prints of it (``ast.unparse``), without
comments.
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
"""Language tags of fenced blocks that hold Python."""

_LOOKS_LIKE_PYTHON = re.compile(r"^(?:import |from |class |def |async def |@)", re.MULTILINE)
# Of Python's parser and printer, where a model ran wild: deep nesting, null bytes, endless numbers.
_PARSER_ERRORS = (SyntaxError, ValueError, MemoryError, RecursionError)
_IMPORTS_OFTEN_FORGOTTEN = {"unittest": "import unittest", "TestCase": "from unittest import TestCase"}


def unit_test(text: str, entry_point: str) -> str:
    """The test in an answer; arguments as of ``extract_unit_test``.

    Raises:
        UnusableError: there is none.
    """
    module = _parse_beginning(_python_source(text))
    try:
        module = _CandidateInPlace(module, entry_point).visit(module)
        kept = _with_what_it_needs(_first_test_class(module), module, entry_point)
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


def normalised(code: str) -> str:
    """Code as Python prints it, without comments and docstrings, so that equal means the same program.

    Code that does not parse is given back as it is.
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
    """Where the test stands in an answer: the first block that speaks of one, or the bare text."""
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
        warnings.simplefilter("ignore")  # of odd escapes in strings
        return ast.parse(source)


def _parse_beginning(source: str) -> ast.Module:
    """The longest beginning that parses, found by cutting where the parser stumbles."""
    lines = source.split("\n")
    while lines:
        try:
            module = _parse("\n".join(lines))
        except SyntaxError as error:
            stumbled = error.lineno or len(lines)
            del lines[min(stumbled, len(lines)) - 1 :]
        except _PARSER_ERRORS as error:
            raise UnusableError(Rejection.DOES_NOT_PARSE) from error
        else:
            if module.body:
                return module
            break
    raise UnusableError(Rejection.DOES_NOT_PARSE)


class _CandidateInPlace(ast.NodeTransformer):
    """Takes away whatever would be tested in the candidate's place."""

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
        """``from solution import f as g`` becomes ``g = f``, and nothing at all without the alias."""
        imported = [alias for alias in node.names if alias.name == self._entry_point]
        if not imported:
            return node
        alias = imported[0].asname
        return ast.parse(f"{alias} = {self._entry_point}").body[0] if alias else ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """``solution.f`` becomes ``f``."""
        self.generic_visit(node)
        if (
            node.attr == self._entry_point
            and isinstance(node.value, ast.Name)
            and node.value.id in self._foreign_modules
        ):
            return ast.Name(self._entry_point, node.ctx)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        """A copy of the entry point goes, be it at the top or inside a test method."""
        return self._definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        """As `visit_FunctionDef`."""
        return self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        """As `visit_FunctionDef`."""
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
        # Only classes further up: a name may be bound again by a class of its own descendants.
        if parent is not None and parent.lineno < node.lineno and _is_test_case(parent, classes):
            return True
    return False


def _is_test_method(node: ast.stmt) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test")


def _asserts(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr.startswith(("assert", "fail"))
    return isinstance(node, ast.Assert)


def _with_what_it_needs(test_class: ast.ClassDef, module: ast.Module, entry_point: str) -> list[ast.stmt]:
    """The class and, in the order of the answer, the top-level statements that bind names it depends on."""
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
    """Whether it is a ``from math import *``: it may bind any name, and does no harm if none is needed."""
    return (
        isinstance(statement, ast.ImportFrom)
        and statement.names[0].name == "*"
        and (statement.module or "").partition(".")[0] in sys.stdlib_module_names
    )


def _used_names(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _bound_names(statement: ast.stmt) -> set[str]:
    """The module-level names that a statement binds."""
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

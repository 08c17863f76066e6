"""Extraction of Python tests: the answer's program, without what would replace the candidate.

The whole program is kept, in whatever style it is written: ``unittest`` classes, pytest functions and
classes, bare assertions, and the statements around them, since a test may rest on any of them. What goes:
copies of the entry point and imports of the candidate's module, runners such as ``unittest.main()``, and
what does not parse. The code is the output of ``ast.unparse``, without comments.
"""

import ast
import builtins
import re
import sys

from testbudget.executors.generation.extraction.answers import Rejection, UnusableError
from testbudget.executors.generation.extraction.code_blocks import answer_text, code_blocks
from testbudget.executors.generation.extraction.forgotten_imports import forgotten_imports
from testbudget.executors.generation.extraction.python_repair import parsed_parts
from testbudget.executors.generation.extraction.python_statements import (
    PARSER_ERRORS,
    PYTHON_TAGS,
    Definition,
    bound_names,
    method_names,
    nodes_of,
    parse_python,
    parses,
)
from testbudget.rewards.problem import TestKind

_CANDIDATE_MODULE = re.compile(
    r"(?:solutions?|main|__main__|code|program|candidate|submission|implementation|answer|your_?\w*|my_?\w*|\w*module)$"
)
_RUNNERS = frozenset({"unittest.main", "pytest.main", "main", "exit", "sys.exit", "quit"})
_RUNS_TESTS = re.compile(r"\b(?:TestLoader|TestSuite|TextTestRunner|defaultTestLoader|TestResult)\b")
_BUILTINS = frozenset(vars(builtins)) | {"__name__", "__file__", "__doc__"}
_WRAPPER = (
    "class Solution:\n    def {name}(self, *args, **kwargs):\n        return {name}(*args, **kwargs)\n"
)
_TEST_BASES = frozenset({"TestCase", "IsolatedAsyncioTestCase"})


def extract_python_test(text: str, entry_point: str) -> tuple[str, TestKind]:
    """Unit test in an answer, and its form.

    Args:
        text, entry_point: as for `extract_unit_test`.

    Raises:
        UnusableError: the answer holds no usable test.
    """
    module = _test_module(answer_text(text), entry_point)
    name, _, method = entry_point.replace("()", "").rpartition(".")
    try:
        restorer = _CandidateRestorer(module, name or method, method)
        if restorer.changes(module):
            module = ast.fix_missing_locations(restorer.visit(module))
        module.body = [node for node in module.body if not _is_left_out(node)]
        _check_usable(module, name or method, method)
        used, bound = _names(module)
        missing = used - bound - _BUILTINS - {name or method}
        code = ast.unparse(module)
    except PARSER_ERRORS as error:
        raise UnusableError(Rejection.DOES_NOT_PARSE) from error
    kind = _kind_of(module)
    stars = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in module.body)
    imports = forgotten_imports({"unittest", "TestCase"} & missing if stars else missing)
    return "\n".join([*imports, code]) + "\n", kind


def python_normal_form(code: str) -> str:
    """Code as ``ast.unparse`` writes it, without comments and docstrings.

    Code that does not parse is unchanged.
    """
    module = parse_python(code)
    if module is None:
        return code
    try:
        for node in nodes_of(module):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and (
                ast.get_docstring(node, clean=False) is not None
            ):
                node.body = node.body[1:] or [ast.Pass()]
        return ast.unparse(module)
    except PARSER_ERRORS:
        return code


def _test_module(text: str, entry_point: str) -> ast.Module:
    """Blocks of an answer that hold tests, and those that define what the tests use; or the bare text."""
    blocks = [parsed_parts(block.code) for block in code_blocks(text, PYTHON_TAGS, parses)]
    fenced = bool(blocks)
    blocks = blocks or [parsed_parts(text)]
    if not any(block.body for block in blocks):
        raise UnusableError(Rejection.DOES_NOT_PARSE if fenced else Rejection.NO_CODE)
    held = [block for block in blocks if any(map(_asserts, nodes_of(block)))] or blocks[:1]
    needed = {name for block in held for name in _names(block)[0]}
    body: list[ast.stmt] = []
    for block in blocks:
        kept = block in held
        body += [node for node in block.body if kept or bound_names(node) & (needed - {entry_point})]
    return ast.Module(body=body, type_ignores=[])


def _names(module: ast.Module) -> tuple[set[str], set[str]]:
    """Names that a program uses, and those that it binds anywhere."""
    used: set[str] = set()
    bound: set[str] = set()
    for node in nodes_of(module):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return used, bound


class _CandidateRestorer(ast.NodeTransformer):
    """Removal of definitions and imports that would replace the candidate.

    Args:
        module: program of the test.
        name: function or class under test.
        method: its method under test, or ``name``.
    """

    def __init__(self, module: ast.Module, name: str, method: str) -> None:
        self._name, self._method = name, method
        self._modules = {
            alias.asname or alias.name
            for node in nodes_of(module)
            if isinstance(node, ast.Import)
            for alias in node.names
            if _is_foreign(alias.name)
            and (_CANDIDATE_MODULE.match(alias.name) or _takes(module, alias.asname or alias.name, name))
        }
        classes = (node for node in module.body if isinstance(node, ast.ClassDef))
        wraps = {node.name for node in classes if method in method_names(node)}
        bare = any(isinstance(node, ast.Name) and node.id == name for node in nodes_of(module))
        self._copies = {name, *wraps} if "Solution" in wraps or not bare else {name}

    def changes(self, module: ast.Module) -> bool:
        """False if nothing is to be removed or replaced, which is the rule; a visit takes long."""
        return bool(self._modules) or any(
            self._takes_candidate(node)
            if isinstance(node, ast.ImportFrom)
            else isinstance(node, Definition) and node.name in self._copies
            for node in nodes_of(module)
        )

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        """Remove the module of the candidate."""
        node.names = [alias for alias in node.names if (alias.asname or alias.name) not in self._modules]
        return node if node.names else ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        """Replace ``from solution import f as g`` by ``g = f``; remove the import without an alias."""
        if not self._takes_candidate(node):
            return node
        aliases = [alias for alias in node.names if alias.asname not in {None, alias.name}]
        return [ast.parse(f"{alias.asname} = {alias.name}").body[0] for alias in aliases] or ast.Pass()

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Replace ``solution.f`` by ``f``."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            return ast.Name(node.attr, node.ctx)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        """Remove a copy of the class under test; methods of another class stay, whatever their name.

        A class ``Solution`` that holds a copy of the function under test calls the candidate instead.
        """
        if node.name in self._copies:
            wraps = node.name == "Solution" and self._method == self._name != node.name
            return ast.parse(_WRAPPER.format(name=self._name)).body[0] if wraps else ast.Pass()
        node.body = [
            self.generic_visit(member)  # type: ignore[misc]
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
            else self.visit(member)
            for member in node.body
        ]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        """Remove a copy of the function under test, at the top level or inside a test."""
        return ast.Pass() if node.name in self._copies else self._below(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:
        """Remove a copy of the function under test."""
        return ast.Pass() if node.name in self._copies else self._below(node)

    def _takes_candidate(self, node: ast.ImportFrom) -> bool:
        module = node.module or ""
        takes = any(alias.name == self._name for alias in node.names) or _CANDIDATE_MODULE.match(module)
        return bool(node.level) or (_is_foreign(module) and bool(takes))

    def _below(self, node: ast.stmt) -> ast.stmt:
        self.generic_visit(node)
        return node


def _is_foreign(module: str) -> bool:
    """Return whether a module does not belong to the standard library."""
    return module.partition(".")[0] not in sys.stdlib_module_names


def _takes(module: ast.Module, owner: str, name: str) -> bool:
    """Return whether a program takes an attribute by this name from a module."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
        for node in nodes_of(module)
    )


def _is_left_out(node: ast.stmt) -> bool:
    """Return whether a top-level statement is a runner, a word of prose, or nothing."""
    if isinstance(node, ast.Pass):
        return True
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return all(map(_is_left_out, node.body))
    if isinstance(node, ast.Assign | ast.Expr) and _RUNS_TESTS.search(ast.unparse(node)):
        return True
    if isinstance(node, ast.Expr):
        called = ast.unparse(node.value.func) if isinstance(node.value, ast.Call) else None
        inert = not any(isinstance(part, ast.Call | ast.Await) for part in nodes_of(node))
        return inert or called in _RUNNERS
    return False


def _check_usable(module: ast.Module, name: str, method: str) -> None:
    """Check that a program tests the candidate.

    Raises:
        UnusableError: it does not.
    """
    if not any(map(_asserts, nodes_of(module))):
        raise UnusableError(Rejection.NO_ASSERTION)
    if not (any(_test_cases(module)) or any(_runs_assertions(node) for node in module.body)):
        raise UnusableError(Rejection.NO_TEST)
    if any(map(_is_check, module.body)):
        return
    defined = {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    for node in nodes_of(module):
        if isinstance(node, ast.Name) and node.id == name:
            return
        if isinstance(node, ast.Attribute) and node.attr == method and isinstance(node.ctx, ast.Load):
            root = node.value.func if isinstance(node.value, ast.Call) else node.value
            own = isinstance(root, ast.Name) and root.id in defined | {"self"}
            if method != name or (not own and "Solution" in ast.unparse(module)):
                return
    raise UnusableError(Rejection.ENTRY_POINT_UNUSED)


def _kind_of(module: ast.Module) -> TestKind:
    """Form of a test, by what it defines at its top level."""
    if any(_test_cases(module)):
        return TestKind.UNITTEST
    if any(map(_is_check, module.body)):
        return TestKind.CHECK
    definitions = (node for node in module.body if isinstance(node, Definition))
    return TestKind.PYTEST if any(map(_runs_assertions, definitions)) else TestKind.ASSERT


def _is_check(node: ast.stmt) -> bool:
    """Return whether a statement defines ``check(candidate)``, which is called with the entry point."""
    if not isinstance(node, ast.FunctionDef) or node.name != "check" or not node.args.args:
        return False
    candidate = node.args.args[0].arg
    return any(isinstance(part, ast.Name) and part.id == candidate for part in nodes_of(node))


def _test_cases(module: ast.Module) -> list[ast.ClassDef]:
    """Classes that unittest would run, by the names of their bases."""
    found: dict[str, ast.ClassDef] = {}
    methods: dict[str, bool] = {}
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            methods[node.name] = any(name.startswith("test") for name in method_names(node)) or any(
                methods.get(base, False) for base in bases
            )
            if any(base in _TEST_BASES or base in found for base in bases):
                found[node.name] = node
    return [node for name, node in found.items() if methods[name]]


def _runs_assertions(node: ast.stmt) -> bool:
    """Return whether a top-level statement asserts when it is run, or is a test that pytest would run."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        is_method = bool(node.args.args) and node.args.args[0].arg == "self"
        return not is_method and (node.name.startswith("test") or node.name == "check")
    if isinstance(node, ast.ClassDef):
        return node.name.startswith("Test") and any(name.startswith("test") for name in method_names(node))
    return any(isinstance(part, ast.Assert | ast.Call) for part in nodes_of(node))


def _asserts(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr.startswith(("assert", "fail")) or node.attr == "raises"
    return isinstance(node, ast.Assert)

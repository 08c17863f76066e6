"""Compilation of Python programs, and properties found without running them."""

import ast
import builtins
import dis
import marshal
import re
import types
from collections.abc import Iterator

from testbudget.executors.execution.languages.base import Program, Source
from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.reasons import TEST_FILE
from testbudget.rewards.problem import TestKind

CANDIDATE_FILE = f"<{MODULE}>"
"""File name in the code objects of candidates."""

HARMLESS_MODULES = frozenset(
    "__future__ abc array base64 bisect calendar cmath collections copy dataclasses datetime "
    "decimal enum fractions functools hashlib heapq itertools json math numbers numpy "
    "operator pprint random re statistics string sys textwrap typing unittest".split()
)
"""Modules that behave the same in any process; a test that imports them can be judged in a separate one."""

_SHARED_STATE_NAMES = frozenset(
    "open input exec eval globals locals vars compile __import__ breakpoint".split()
)
_SHARED_STATE_ATTRIBUTES = frozenset(
    "mock patch seed stdin stdout stderr modules _getframe settrace setprofile assertWarns "
    "assertWarnsRegex assertLogs assertNoLogs __globals__ __code__ __dict__ __module__".split()
)
"""Names through which a test may reach state that it would share with the candidate."""

_BUILTINS = frozenset(vars(builtins)) | {"__name__", "__file__", "__doc__"}
_TAKES_A_CLASS = frozenset(
    "isinstance issubclass assertIsInstance assertNotIsInstance assertRaises assertRaisesRegex".split()
)

_BINDING_OPERATIONS = frozenset({"STORE_NAME", "DELETE_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"})
_STORE_GLOBAL, _DELETE_GLOBAL = dis.opmap["STORE_GLOBAL"], dis.opmap["DELETE_GLOBAL"]

_IMPORTS = re.compile(r"^\s*(?:from\s+\S+\s+)?import\s+(.*)$", re.MULTILINE)
_STORES = re.compile(r"\b(\w+)(?:\.\w+)*\.\w+\s*(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=)")
_REACHES_OUT = re.compile(
    r"\b(?:setattr|delattr|globals|vars|builtins|__builtins__|__dict__|__globals__|environ|putenv|modules|exec|"
    r"eval|gc|ctypes|open|inspect|_getframe|signal|atexit|locale|setlocale|resource|setcontext|getcontext|"
    r"__subclasses__|__import__|import_module|type\(\w+\)\.\w+\s*=)\b|\bfrom\s+\S+\s+import\s+\*"
)


def compile_source(source: Source, entry_point: str | None) -> bytes | None:
    """Compile a program to a text for ``unpack_program``; for a test, also find the names that it uses.

    Args:
        source: candidate or test.
        entry_point: name of the function or class under test; None if unknown.

    Returns:
        The text; None if the program does not compile.
    """
    code = compile_text(source.text, CANDIDATE_FILE if source.kind is None else TEST_FILE)
    if code is None:
        return None
    if source.kind is None:
        return marshal.dumps((tuple(candidate_program(source.text, code)), None))
    return marshal.dumps((tuple(test_program(source.text, code, entry_point)), str(source.kind)))


def unpack_program(text: bytes) -> Program:
    """Program whose content is a code object; for a test, its kind and a code object."""
    (content, *properties), kind = marshal.loads(text)
    return Program(content if kind is None else (TestKind(kind), content), *properties)


def compile_text(text: str, file: str) -> types.CodeType | None:
    """Compile a program to its code object.

    Args:
        text: text of the program.
        file: file name for tracebacks.

    Returns:
        The code object; None if the program does not compile.
    """
    try:
        return compile(text, file, "exec", dont_inherit=True, optimize=0)
    except Exception:  # SyntaxError, ValueError, RecursionError, MemoryError, OverflowError
        return None


def _is_self_contained(text: str) -> bool:
    """Return whether a program appears to change nothing outside its own module.

    A hostile candidate can deceive this check. Its later tests then run in a process that it has changed
    itself. No other candidate is affected.
    """
    if _REACHES_OUT.search(text):
        return False
    imported = set(re.findall(r"\w+", " ".join(_IMPORTS.findall(text))))
    return imported.isdisjoint(_STORES.findall(text))


def used_names(code: types.CodeType) -> set[str]:
    """Names that a program uses at any depth, attributes included.

    Args:
        code: code object of the program.
    """
    inner = (used_names(part) for part in code.co_consts if isinstance(part, types.CodeType))
    return set(code.co_names).union(*inner)


def defined_names(code: types.CodeType) -> set[str]:
    """Names that a program binds at its top level or declares global below.

    Args:
        code: code object of the program.
    """
    return set(bindings(code))


def bindings(code: types.CodeType) -> dict[str, tuple[str, str | None] | None]:
    """Names that a program binds at its top level or declares global below, with their origins.

    Args:
        code: code object of the program.

    Returns:
        For each name its origin: the module that it is imported from, and its name there (None for the
        module itself). The origin is None if the name is bound in another way or in several ways.
    """
    found: dict[str, tuple[str, str | None] | None] = {}
    module, origin = "", None
    for instruction in dis.get_instructions(code):
        operation, name = instruction.opname, instruction.argval
        if operation == "IMPORT_NAME":
            module, origin = name, (name.partition(".")[0], None)
        elif operation == "IMPORT_FROM":
            origin = (module, name)
        elif operation in _BINDING_OPERATIONS:
            found[name] = origin if found.get(name, origin) == origin else None
            origin = None
    for name in _global_names(code):
        found[name] = None
    return found


def _global_names(code: types.CodeType) -> Iterator[str]:
    """Names that are declared global and bound below the top level."""
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            if _STORE_GLOBAL in part.co_code[::2] or _DELETE_GLOBAL in part.co_code[::2]:
                for instruction in dis.get_instructions(part):
                    if instruction.opcode in {_STORE_GLOBAL, _DELETE_GLOBAL}:
                        yield instruction.argval
            yield from _global_names(part)


def candidate_program(text: str, code: types.CodeType) -> Program:
    """Candidate as a `Program`, with its properties.

    Args:
        text: text of the candidate.
        code: its code object.
    """
    return Program(code, _is_self_contained(text))


def test_program(text: str, code: types.CodeType, entry_point: str | None) -> Program:
    """Test as a `Program`, with the names that it uses of the candidate.

    Args:
        text: text of the test.
        code: its code object.
        entry_point: name of the function or class under test; None if unknown.
    """
    names = _FreeNames(ast.parse(text), entry_point)
    return Program(
        code,
        _is_self_contained(text),
        plain_calls=names.plain_calls,
        functions=tuple(sorted(names.functions)),
        other_names=tuple(sorted(names.others)),
    )


test_program.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name


class _FreeNames:
    """Names that a test uses and does not define.

    Attributes:
        functions: names that it only calls.
        others: names that it uses as objects or classes.
        plain_calls: True if the test seems to exchange only plain data with the candidate.
    """

    def __init__(self, tree: ast.Module, entry_point: str | None) -> None:
        self.plain_calls = True
        self._bound: set[str] = set()
        self._loaded: set[str] = set()
        self._called: set[str] = set()
        self._taken_as_objects: set[str] = set()
        self._from_module: set[str] = set()
        for node in ast.walk(tree):
            self._note(node)
        builtin = _BUILTINS - {entry_point}
        free = (self._loaded - self._bound - builtin) | self._from_module
        functions = free & (self._called | ({entry_point} if entry_point else set()))
        self.others = (free - functions) | (free & self._taken_as_objects)
        self.functions = functions - self.others
        if entry_point in self.others:
            self.plain_calls = False

    def _note(self, node: ast.AST) -> None:  # noqa: PLR0912 - a table
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                self._loaded.add(name)
                self.plain_calls &= name not in _SHARED_STATE_NAMES
            case ast.Name(id=name):
                self._bound.add(name)
            case ast.Attribute(value=value, attr=attribute):
                self.plain_calls &= attribute not in _SHARED_STATE_ATTRIBUTES
                if isinstance(value, ast.Name):
                    self._taken_as_objects.add(value.id)
            case ast.Import() | ast.ImportFrom():
                self._note_import(node)
            case ast.arg(arg=name):
                self._bound.add(name)
            case ast.ClassDef(name=name, bases=bases):
                self._bound.add(name)
                self._taken_as_objects |= set(_names(bases))
            case ast.FunctionDef(name=name):
                self._bound.add(name)
            case ast.AsyncFunctionDef():
                self.plain_calls = False
            case ast.ExceptHandler(type=caught, name=name):
                if name:
                    self._bound.add(name)
                if caught:
                    self._taken_as_objects |= set(_names([caught]))
            case ast.Call(func=function, args=arguments):
                self._note_call(function, arguments)

    def _note_call(self, function: ast.expr, arguments: list[ast.expr]) -> None:
        if isinstance(function, ast.Name):
            self._called.add(function.id)
        called = getattr(function, "id", getattr(function, "attr", ""))
        if called in _TAKES_A_CLASS:
            classes = arguments[:1] if called.startswith("assertRaises") else arguments[1:2]
            self._taken_as_objects |= set(_names(classes))

    def _note_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom) and node.module == MODULE:
            names = [alias.name for alias in node.names if alias.name != "*"]
            self._from_module |= set(names)
            self._called |= set(names)
            # The use of an alias cannot be followed by name.
            self.plain_calls &= all(alias.asname in {None, alias.name} for alias in node.names)
            return
        modules = [node.module or "."] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        self.plain_calls &= all(module.split(".")[0] in HARMLESS_MODULES for module in modules)
        for alias in node.names:
            self._bound.add((alias.asname or alias.name).split(".")[0])
            self.plain_calls &= not {alias.name, *alias.name.split(".")} & _SHARED_STATE_ATTRIBUTES


def _names(expressions: list[ast.expr]) -> Iterator[str]:
    for expression in expressions:
        for node in ast.walk(expression):
            if isinstance(node, ast.Name):
                yield node.id

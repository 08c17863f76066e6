"""Compilation of Python programs, and properties found without running them."""

import ast
import dis
import inspect
import json
import marshal
import re
import types
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from testbudget.executors.execution.languages.base import Program, Source
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.python.assertion_marks import mark_assertions, mark_templates
from testbudget.executors.execution.languages.python.entry_points import first_name
from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.library_tables import STATELESS_MODULES
from testbudget.executors.execution.languages.python.number_marks import mark_numbers
from testbudget.executors.execution.languages.python.objects.settings_patches import patch_targets
from testbudget.executors.execution.languages.python.reasons import CANDIDATE_FILE, PROGRAM_FILE, TEST_FILE
from testbudget.executors.execution.languages.python.test_facts import find_facts
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.rewards.verdict_reason import GENERAL_SENTENCES, DetailName, VerdictReason

_BYTE_ORDER_MARK = "\ufeff"
_BINDING_OPERATIONS = frozenset({"STORE_NAME", "DELETE_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"})
_STORE_GLOBAL, _DELETE_GLOBAL = dis.opmap["STORE_GLOBAL"], dis.opmap["DELETE_GLOBAL"]

_IMPORTS = re.compile(r"^\s*(?:from\s+([\w.]+)\s+)?import\s+([^#\n(\\]+|\([^)]*\))", re.MULTILINE)
_STORES = re.compile(r"\b(\w+)(?:\.\w+)*\.\w+\s*(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=)")
_REACHES_OUT = re.compile(
    r"\b(?:setattr|delattr|globals|vars|builtins|__builtins__|__dict__|__globals__|environ|putenv|modules|exec|"
    r"eval|gc|ctypes|open|_getframe|setlocale|setcontext|getcontext|localcontext|seed|setstate|"
    r"set_int_max_str_digits|set_printoptions|seterr|errstate|printoptions|"
    r"__subclasses__|__import__|import_module|__mro__|__bases__|type\(\w+\)\.\w+\s*=)"
    r"\b|\bfrom\s+\S+\s+import\s+\*"
)
_MEMBERS_OF_SYS = re.compile(
    r"\bsys\.(?!(?:maxsize|setrecursionlimit|stdin|stdout|stderr|exit|float_info|version)\b)|\bfrom\s+sys\b"
)
_SAFE_STAR_IMPORTS = re.compile(
    r"\bfrom\s+(?:typing|math|collections|itertools|functools|heapq|bisect)\s+import\s+\*"
)


_STATELESS_IN_TESTS = frozenset(
    "__future__ abc array bisect cmath collections copy dataclasses datetime enum fractions functools "
    "heapq io itertools json math numbers operator re statistics string textwrap typing types unicodedata "
    f"unittest {MODULE}".split()
)
_LEAVES_SOMETHING = re.compile(
    r"\b(?:mock|patch|register|registerResult|installHandler|monkeypatch|sys)\b|\bdel\s+\w+\."
)


class CompiledTest(NamedTuple):
    """Compiled form of a test.

    Attributes:
        kind: form of the test, as its author sees it.
        code: code object.
        entry_point: name of the function or class under test; None if unknown.
        uncalled: functions and classes that pytest would run and the test does not; also ``check``.
        caveat: sentence that says why a pass is not confirmed; empty if it is.
        patch_targets: dotted names that the test patches; empty if it exchanges plain data only.
        leaves_nothing: True if its text shows that it changes nothing outside its own module.
    """

    kind: str
    code: types.CodeType
    entry_point: str | None
    uncalled: tuple[str, ...]
    caveat: str
    patch_targets: tuple[str, ...] = ()
    leaves_nothing: bool = False


def compile_source(source: Source, entry_point: str | None) -> bytes:
    """Compile a program to a text for ``unpack_program``; for a test, also find the names that it uses.

    Args:
        source: candidate or test.
        entry_point: name of the function or class under test; None if unknown.

    Returns:
        The text. For a candidate that is run as a program, its marshalled text and code object; the message
        ``NOT_COMPILED`` if the program does not compile.
    """
    try:
        if source.kind is TestKind.STDIN:
            return marshal.dumps((source.text, compile_text(source.text, PROGRAM_FILE)))
        if source.kind is None:
            program = candidate_program(source.text, compile_text(source.text, CANDIDATE_FILE))
        else:
            program = test_program(source.text, source.kind, entry_point)
        return marshal.dumps(tuple(program))
    except Exception as error:  # SyntaxError, ValueError, RecursionError, MemoryError, OverflowError
        return json.dumps([StepMessage.NOT_COMPILED, not_compiled_reason(error).as_message()]).encode()


def not_compiled_reason(error: Exception) -> VerdictReason:
    """Reason of a program that does not compile, from the exception that tells so."""
    detail = {DetailName.EXCEPTION: type(error).__name__, DetailName.MESSAGE: str(error)}
    if isinstance(error, SyntaxError):
        detail[DetailName.MESSAGE] = error.msg
        if error.lineno is not None:
            detail[DetailName.LINE] = str(error.lineno)
    return VerdictReason(GENERAL_SENTENCES[Verdict.COMPILE_ERROR], detail)


def unpack_program(text: bytes) -> Program:
    """Program whose content is a code object; for a test, the fields of a `CompiledTest` as a tuple."""
    return Program(*marshal.loads(text))


def compile_text(text: str, file: str) -> types.CodeType:
    """Compile a program to its code object.

    Args:
        text: text of the program.
        file: file name for tracebacks.

    Raises:
        Exception: the program does not compile.
    """
    return compile(text.removeprefix(_BYTE_ORDER_MARK), file, "exec", dont_inherit=True, optimize=0)


def _is_self_contained(text: str, stateless: Collection[str] = STATELESS_MODULES) -> bool:
    """Return whether a program appears to change nothing outside its own module.

    A hostile candidate can deceive this check. Its later tests then run in a process that it has changed
    itself. No other candidate is affected.

    Args:
        text: text of the program.
        stateless: modules that it may import.
    """
    if _REACHES_OUT.search(_SAFE_STAR_IMPORTS.sub("", text)) or _MEMBERS_OF_SYS.search(text):
        return False
    imported: set[str] = set()
    for module, names in _IMPORTS.findall(text):
        words = re.findall(r"[\w.]+", names)
        if not {name.partition(".")[0] for name in [module] if name}.issubset(stateless):
            return False
        if not module and not {
            part.split()[0].partition(".")[0] for part in names.strip("()").split(",") if part.strip()
        }.issubset(stateless):
            return False
        imported.update(words)
    return imported.isdisjoint(_STORES.findall(text))


def used_names(code: types.CodeType) -> set[str]:
    """Names that a program uses at any depth, attributes included.

    Args:
        code: code object of the program.
    """
    inner = (used_names(part) for part in code.co_consts if isinstance(part, types.CodeType))
    return {code.co_name, *code.co_names}.union(*inner)


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
    """Candidate as a `Program`.

    Args:
        text: text of the candidate.
        code: its code object.
    """
    # The last constant is the text, for programs that read their source code; see `load_candidate`.
    code = code.replace(co_consts=(*code.co_consts, text))
    return Program(code, _is_self_contained(text))


def defines_any(code: types.CodeType, names: Collection[str]) -> bool:
    """Return whether a candidate binds one of these names at its top level or declares it global.

    A candidate that imports all names of a module may define any of them.
    """
    return bool(names) and (_imports_all(code) or not defined_names(code).isdisjoint(names))


def defines_class(code: types.CodeType, names: Collection[str]) -> bool:
    """Return whether a candidate has a class statement with one of these names at its top level."""
    parts = (part for part in code.co_consts if isinstance(part, types.CodeType))
    return any(part.co_name in names and not part.co_flags & inspect.CO_OPTIMIZED for part in parts)


def _imports_all(code: types.CodeType) -> bool:
    return any(constant == ("*",) for constant in code.co_consts if isinstance(constant, tuple))


def test_program(text: str, kind: TestKind, entry_point: str | None) -> Program:
    """Test as a `Program`, with the fields of a `CompiledTest` and the names that it uses of the candidate.

    Args:
        text: text of the test.
        kind: form of the test.
        entry_point: name of the function or class under test; None if unknown.

    Raises:
        Exception: the test does not compile.
    """
    tree = ast.parse(text.removeprefix(_BYTE_ORDER_MARK), TEST_FILE)
    facts = find_facts(tree, first_name(entry_point), shares_names=kind is TestKind.ASSERT)
    mark_assertions(tree)
    if "format" in text:
        mark_templates(tree)
    mark_numbers(tree, uses_arrays="numpy" in text)
    _add_imports(tree, facts.forgotten)
    code = compile(tree, TEST_FILE, "exec", dont_inherit=True, optimize=0)
    targets = () if facts.plain_calls else patch_targets(code)
    leaves_nothing = _is_self_contained(text, _STATELESS_IN_TESTS) and not _LEAVES_SOMETHING.search(text)
    compiled = CompiledTest(
        str(kind), code, entry_point, facts.uncalled, facts.caveat, targets, leaves_nothing
    )
    return Program(
        tuple(compiled),
        self_contained=facts.plain_calls,
        plain_calls=facts.plain_calls,
        functions=facts.functions,
        other_names=facts.other_names,
    )


test_program.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name


def _add_imports(tree: ast.Module, forgotten: Sequence[tuple[str, str]]) -> None:
    """Import modules that a test uses without importing them, after its docstring and ``__future__``."""
    place = 0
    for statement in tree.body:
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.ImportFrom(module="__future__"):
                place += 1
            case _:
                break
    for name, module in forgotten:
        node = ast.Import([ast.alias(module, None if name == module else name)], lineno=1, col_offset=0)
        tree.body.insert(place, ast.fix_missing_locations(node))

"""Assembly of a Python candidate: a block of code with what its names need, without usage examples."""

import ast
import builtins
import re
import typing
from collections.abc import Callable, Iterator, Sequence

from testbudget.executors.generation.extraction.candidates import AnswerNote
from testbudget.executors.generation.extraction.python_statements import (
    Definition,
    bound_names,
    calls_name,
    changed_names,
    needed_names,
    outside_functions,
    parse_python,
    parses,
)

_BUILTINS = frozenset(vars(builtins)) | {"__name__", "__file__", "__doc__", "__builtins__"}
_ONLY_SHOWN = frozenset(
    {"print", "pprint", "input", "exit", "quit", "display", "help", "sys.exit", "os._exit"}
)
_STANDARD_INPUT = frozenset({"input", "raw_input", "stdin"})
_WORD_ALONE = re.compile(r"\w+[ \t]*$")
_TEST_RUNNERS = frozenset({"unittest", "doctest", "pytest"})


def assembled(
    own: str, others: Sequence[str], header: str, entry_point: str
) -> tuple[str, tuple[AnswerNote, ...]]:
    """Program of a block with what it lacks, before it, and notes on where that came from.

    Args:
        own: the block.
        others: other blocks of the answer, those to look in first at the beginning.
        header: statements of the problem's prompt before the entry point.
        entry_point: function or class that only ``own`` defines; empty for a program without one.
    """
    missing = missing_names(own)
    parts: list[str] = []
    notes: list[AnswerNote] = []
    for note, sources in ((AnswerNote.OTHER_BLOCKS, others), (AnswerNote.FROM_PROMPT, [header])):
        for source in sources:
            if found := _statements_for(missing, source, entry_point):
                parts.insert(0, found)
                missing = missing_names("\n".join([*parts, own]))
                notes += [] if note in notes else [note]
    future = [part for part in own.split("\n") if part.startswith("from __future__ ")]
    if parts and future:
        own = "\n".join(line for line in own.split("\n") if line not in future)
        parts = [*future, *parts]
    return "\n\n".join([*parts, own.strip("\n")]) + "\n", tuple(notes)


def without_usage(code: str, entry_point: str) -> str:
    """Program without the top-level statements that only show how it is used.

    Args:
        code: a text that parses.
        entry_point: function or class that the program defines.
    """
    module = parse_python(code)
    assert module is not None
    name = entry_point.partition(".")[0].replace("()", "")
    shows = _functions_that_show(module, name)
    needed = {used for node in module.body if isinstance(node, Definition) for used in needed_names(node)}
    needed.add(name)
    while (
        more := {
            used
            for node in module.body
            if _is_needed(node, needed, name, shows)
            for used in needed_names(node)
        }
        - needed
    ):
        needed |= more
    dropped = [node for node in module.body if not _is_needed(node, needed, name, shows)]
    return code if not dropped else _without_lines(code, module.body, dropped)


def _functions_that_show(module: ast.Module, name: str) -> set[str]:
    """Functions that use the entry point or read input, themselves or through others."""
    uses = {
        node.name: needed_names(node)
        for node in module.body
        if isinstance(node, Definition) and node.name != name
    }
    found = {name, "input"}
    while more := {function for function, used in uses.items() if used & found} - found:
        found |= more
    return found - {name, "input"}


def _is_needed(node: ast.stmt, needed: set[str], name: str, shows: set[str]) -> bool:
    """Return whether a top-level statement is part of a program, given the names that the program needs."""
    if _defines(node):
        return True
    if _is_main_guard(node) or isinstance(node, ast.Assert):
        return False
    if bound_names(node) & needed:
        return name in bound_names(node) or not any(calls_name(node, used) for used in {name, *shows})
    if _mentions(node, name):
        return False
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and not _prepares(call, needed, shows):
        return False
    return bool(changed_names(node) or (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)))


def _prepares(call: ast.Call, needed: set[str], shows: set[str]) -> bool:
    """Return whether a call made for its effect may prepare what a program needs: ``fill(TABLE)``."""
    called = ast.unparse(call.func)
    if called in _ONLY_SHOWN | shows or called.partition(".")[0] in _TEST_RUNNERS:
        return False
    names = {node.id for argument in call.args for node in _names(argument)}
    return isinstance(call.func, ast.Attribute) or not call.args or bool(names & needed)


def _only_shows(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func) in _ONLY_SHOWN


def _defines(node: ast.stmt) -> bool:
    return isinstance(node, Definition | ast.Import | ast.ImportFrom)


def _mentions(node: ast.stmt, name: str) -> bool:
    return name in {used.id for used in _names(node)}


def _names(node: ast.AST) -> Iterator[ast.Name]:
    return (part for part in ast.walk(node) if isinstance(part, ast.Name))


def _is_main_guard(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and "__name__" in ast.unparse(node.test)
    )


def _without_lines(code: str, body: Sequence[ast.stmt], dropped: Sequence[ast.stmt]) -> str:
    """Text without some of its statements; comments and layout of the others stay."""
    kept = [node for node in body if node not in dropped]
    taken = {line for node in kept for line in _lines_of(node)}
    gone = {line for node in dropped for line in _lines_of(node)}
    if taken & gone:  # statements that share a line
        return "\n".join(ast.unparse(node) for node in kept)
    lines = code.split("\n")
    return "\n".join(text for number, text in enumerate(lines, 1) if number not in gone)


def _lines_of(node: ast.stmt) -> range:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return range(first, (node.end_lineno or node.lineno) + 1)


def missing_names(code: str) -> set[str]:
    """Names that a program uses and that nothing in it defines."""
    module = parse_python(code)
    if module is None or any(
        isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in module.body
    ):
        return set()
    used = {name for node in module.body for name in needed_names(node)}
    bound = {name for node in module.body for name in bound_names(node)}
    bound |= {name for node in ast.walk(module) if isinstance(node, ast.Global) for name in node.names}
    return used - bound - _BUILTINS


def _statements_for(missing: set[str], source: str, entry_point: str) -> str:
    """Statements of another text that define some of the missing names, with what they need in turn."""
    module = parse_python(source)
    if module is None:
        return ""
    name = entry_point.partition(".")[0]
    wanted = set(missing)
    objects: set[str] = set()  # that kept statements make, and others may fill
    kept: list[ast.stmt] = []
    while more := [
        node
        for node in module.body
        if node not in kept
        and name not in bound_names(node)
        and (
            bound_names(node) & wanted
            or (changed_names(node) & objects and not _only_shows(node))
            or (not entry_point and _reads(node) and any(map(_reads, kept)))  # lines come in their order
        )
        and not calls_name(node, name)
    ]:
        kept += more
        wanted |= {used for node in more for used in needed_names(node)}
        objects |= {used for node in more for used in bound_names(node) if not _defines(node)}
    return "\n".join(_source_of(source, node) for node in module.body if node in kept)


def _reads(node: ast.stmt) -> bool:
    """Return whether a statement reads standard input when it runs."""
    if _defines(node):
        return False
    return any(
        (isinstance(part, ast.Name) and part.id in _STANDARD_INPUT)
        or (isinstance(part, ast.Attribute) and part.attr in _STANDARD_INPUT)
        for part in outside_functions(node)
    )


def _source_of(source: str, node: ast.stmt) -> str:
    lines = source.split("\n")
    found = "\n".join(lines[number - 1] for number in _lines_of(node))
    return found if parses(found) else ast.unparse(node)


def prompt_header(prompt: str, entry_point: str) -> str:
    """Statements of a prompt before the entry point, if it is code, and what its annotations need.

    A prompt whose signature says ``List[int]`` without an import counts as one that imports it.
    """
    before = _statements_before(prompt, entry_point)
    implied = [
        name
        for name in typing.__all__
        if re.search(rf"\b{name}\s*\[", prompt) and not re.search(rf"\bimport\b.*\b{name}\b", before)
    ]
    header = [f"from typing import {', '.join(implied)}"] if implied else []
    return "\n".join([*header, before])


def _statements_before(prompt: str, entry_point: str) -> str:
    for text in (prompt, f"{prompt.rstrip()}\n    pass\n", f"{prompt.rstrip()}\n        pass\n"):
        if (module := parse_python(text)) is not None:
            name = entry_point.partition(".")[0]
            nodes = [node for node in module.body if name not in bound_names(node)]
            return "\n".join(_source_of(text, node) for node in nodes)
    lines = [line for line in prompt.split("\n") if line.startswith(("import ", "from ")) and parses(line)]
    return "\n".join(lines)


def runs_that_parse(text: str, wanted: Callable[[ast.Module], bool]) -> Iterator[str]:
    """Longest runs of lines that parse and are wanted, in the order of the text.

    Args:
        text: an answer without fences.
        wanted: function that returns whether a run is code rather than prose.
    """
    lines = text.split("\n")
    start = 0
    while start < len(lines):
        if not lines[start].strip() or lines[start][0].isspace() or _WORD_ALONE.match(lines[start]):
            start += 1
            continue
        end = len(lines)
        while end > start:
            try:
                module = ast.parse("\n".join(lines[start:end]))
            except SyntaxError as error:
                failed_at = start + (error.lineno or 1) - 1
                end = failed_at if start <= failed_at < end else end - 1
            except (ValueError, MemoryError, RecursionError):
                end = start
            else:
                if wanted(module):
                    yield "\n".join(lines[start:end]).rstrip()
                start = end - 1
                break
        start += 1


def defines_something(module: ast.Module) -> bool:
    """Return whether a program defines or imports something."""
    return any(map(_defines, module.body))

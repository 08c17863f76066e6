"""Python candidate in a model's answer.

A candidate is the block that defines the entry point, with what its names need from the other blocks of the
answer and from the problem's prompt. Usage examples do not become part of it: a statement that only calls
the entry point, prints or reads input would run whenever the candidate is loaded.
"""

import ast
import builtins
import textwrap
from collections.abc import Iterator, Sequence

from testbudget.executors.generation.extraction.candidates import (
    AnswerNote,
    CandidateReading,
    ExtractionRule,
    chosen_place,
)
from testbudget.executors.generation.extraction.code_blocks import CodeBlock, answer_text, code_blocks
from testbudget.executors.generation.extraction.python_statements import (
    PYTHON_TAGS,
    Definition,
    bound_names,
    calls_name,
    changed_names,
    method_names,
    needed_names,
    parse_python,
    parses,
)

_BUILTINS = frozenset(vars(builtins)) | {"__name__", "__file__", "__doc__", "__builtins__"}
_ONLY_SHOWN = frozenset({"print", "pprint", "input", "exit", "quit", "display", "help"})


def read_python_candidate(
    text: str, entry_point: str, prompt: str, rule: ExtractionRule
) -> CandidateReading:
    """Candidate in an answer.

    Args:
        text: the answer.
        entry_point: function or class that the candidate defines, or ``Class.method``.
        prompt: the problem's prompt, whose imports and helpers the candidate may rely on.
        rule: which of several blocks that define the entry point is taken.
    """
    text = answer_text(text)
    blocks = code_blocks(text, PYTHON_TAGS, parses)
    unfenced = not blocks
    blocks = blocks or [CodeBlock(run, "", True) for run in _runs_that_parse(text)]
    defining = [
        place for place, block in enumerate(blocks) if block.parses and defines(block.code, entry_point)
    ]
    if not defining:
        return _continued(text, blocks, entry_point, prompt, unfenced=unfenced)
    chosen = chosen_place(defining, [len(block.code) for block in blocks], rule)
    others = [block.code for block in (*reversed(blocks[:chosen]), *blocks[chosen + 1 :]) if block.parses]
    code, borrowed = _assembled(blocks[chosen].code, others, entry_point, prompt)
    notes = [AnswerNote.WITHOUT_FENCE] if unfenced else []
    notes += [AnswerNote.SEVERAL_PROGRAMS] if len(defining) > 1 else []
    return CandidateReading(code, (*notes, *borrowed))


def defines(code: str, entry_point: str) -> bool:
    """Return whether a Python program defines an entry point at its top level.

    Args:
        code: a text that parses.
        entry_point: ``name``, ``Class.method`` or ``Class().method``.
    """
    module = parse_python(code)
    if module is None:
        return False
    first, _, method = entry_point.replace("()", "").partition(".")
    for statement in module.body:
        if first in bound_names(statement) and not isinstance(statement, ast.Import | ast.ImportFrom):
            methods = method_names(statement)
            if not method or method in methods or not isinstance(statement, ast.ClassDef):
                return True
    return False


def _continued(
    text: str, blocks: Sequence[CodeBlock], entry_point: str, prompt: str, *, unfenced: bool
) -> CandidateReading:
    """Candidate in an answer that does not define the entry point: a method, a body alone, or none."""
    method = entry_point.rpartition(".")[2]
    for block in reversed(blocks):
        module = parse_python(block.code)
        if module and any(method in method_names(statement) for statement in module.body):
            code, borrowed = _assembled(block.code, [], entry_point, prompt)
            return CandidateReading(code, (AnswerNote.METHOD_ALONE, *borrowed))
    for body in [text] if unfenced else [block.code for block in reversed(blocks)]:
        for code in (prompt + body, f"{prompt.rstrip()}\n{textwrap.indent(textwrap.dedent(body), '    ')}"):
            if body.strip() and prompt.strip() and _completes(code, entry_point):
                return CandidateReading(f"{code.rstrip()}\n", (AnswerNote.BODY_ALONE,))
    return CandidateReading(text, (AnswerNote.NO_PROGRAM,))


def _completes(code: str, entry_point: str) -> bool:
    """Return whether a program compiles and ends with an entry point that has more than a docstring."""
    module = parse_python(code)
    if module is None or not module.body or not defines(code, entry_point):
        return False
    try:
        compile(module, "<candidate>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return False
    last = module.body[-1]
    if not isinstance(last, Definition):
        return False
    return not all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in last.body
    )


def _assembled(
    code: str, others: Sequence[str], entry_point: str, prompt: str
) -> tuple[str, tuple[AnswerNote, ...]]:
    """Program of a block with what it lacks, before it, and notes on where that came from."""
    own = _without_usage(code, entry_point)
    missing = _missing(own)
    parts: list[str] = []
    notes: list[AnswerNote] = []
    for note, sources in (
        (AnswerNote.OTHER_BLOCKS, others),
        (AnswerNote.FROM_PROMPT, [_prompt_header(prompt, entry_point)]),
    ):
        for source in sources:
            if found := _statements_for(missing, source, entry_point):
                parts.insert(0, found)
                missing = _missing("\n".join([*parts, own]))
                notes += [] if note in notes else [note]
    future = [part for part in own.split("\n") if part.startswith("from __future__ ")]
    if parts and future:
        own = "\n".join(line for line in own.split("\n") if line not in future)
        parts = [*future, *parts]
    return "\n\n".join([*parts, own.strip("\n")]) + "\n", tuple(notes)


def _without_usage(code: str, entry_point: str) -> str:
    """Program without the top-level statements that only show how it is used."""
    module = parse_python(code)
    assert module is not None
    name = entry_point.partition(".")[0].replace("()", "")
    needed = {used for node in module.body if isinstance(node, Definition) for used in needed_names(node)}
    needed.add(name)
    while (
        more := {
            used for node in module.body if _is_needed(node, needed, name) for used in needed_names(node)
        }
        - needed
    ):
        needed |= more
    dropped = [node for node in module.body if not _is_needed(node, needed, name)]
    return code if not dropped else _without_lines(code, module.body, dropped)


def _is_needed(node: ast.stmt, needed: set[str], name: str) -> bool:
    """Return whether a top-level statement is part of a program, given the names that the program needs."""
    if isinstance(node, Definition | ast.Import | ast.ImportFrom):
        return True
    if _is_main_guard(node) or isinstance(node, ast.Assert):
        return False
    if bound_names(node) & needed:
        return name in bound_names(node) or not calls_name(node, name)
    if _mentions(node, name):
        return False
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
        return call.func.id not in _ONLY_SHOWN and not (
            call.args and changed_names(node).isdisjoint(needed)
        )
    return bool(changed_names(node))  # sys.setrecursionlimit(...), TABLE.append(...)


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


def _missing(code: str) -> set[str]:
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
    kept: list[ast.stmt] = []
    while True:
        more = [
            node
            for node in module.body
            if node not in kept
            and name not in bound_names(node)
            and (bound_names(node) & wanted or (kept and changed_names(node) & wanted - set(missing)))
            and not calls_name(node, name)
        ]
        if not more:
            break
        kept += more
        wanted |= {used for node in more for used in needed_names(node)}
    return "\n".join(_source_of(source, node) for node in module.body if node in kept)


def _source_of(source: str, node: ast.stmt) -> str:
    lines = source.split("\n")
    found = "\n".join(lines[number - 1] for number in _lines_of(node))
    return found if parses(found) else ast.unparse(node)


def _prompt_header(prompt: str, entry_point: str) -> str:
    """Statements of a prompt before the entry point, if the prompt is code."""
    for text in (prompt, f"{prompt.rstrip()}\n    pass\n", f"{prompt.rstrip()}\n        pass\n"):
        if (module := parse_python(text)) is not None:
            name = entry_point.partition(".")[0]
            nodes = [node for node in module.body if name not in bound_names(node)]
            return "\n".join(_source_of(text, node) for node in nodes)
    lines = [line for line in prompt.split("\n") if line.startswith(("import ", "from ")) and parses(line)]
    return "\n".join(lines)


def _runs_that_parse(text: str) -> Iterator[str]:
    """Longest runs of lines that parse and define or import something, in the order of the text."""
    lines = text.split("\n")
    start = 0
    while start < len(lines):
        if not lines[start].strip() or lines[start][0].isspace():
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
                if any(isinstance(node, Definition | ast.Import | ast.ImportFrom) for node in module.body):
                    yield "\n".join(lines[start:end]).rstrip()
                    start = end - 1
                break
        start += 1

"""Python candidate in a model's answer.

A candidate is the block that defines the entry point, with what its names need from the other blocks of the
answer and from the problem's prompt. Usage examples do not become part of it: a statement that only calls
the entry point, prints or reads input would run whenever the candidate is loaded.
"""

import ast
import re
import textwrap
from collections.abc import Sequence

from testbudget.executors.generation.extraction.candidates import (
    AnswerNote,
    CandidateReading,
    ExtractionRule,
    chosen_place,
    no_program,
)
from testbudget.executors.generation.extraction.code_blocks import CodeBlock, answer_text, code_blocks
from testbudget.executors.generation.extraction.python_assembly import (
    assembled,
    defines_something,
    prompt_header,
    runs_that_parse,
    without_usage,
)
from testbudget.executors.generation.extraction.python_statements import (
    PYTHON_TAGS,
    Definition,
    bound_names,
    method_names,
    outside_functions,
    parse_python,
    parses,
)


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
    blocks = blocks or [CodeBlock(run, "", True) for run in runs_that_parse(text, defines_something)]
    whole = blocks
    blocks = [block if block.parses else _without_cut_end(block, entry_point) for block in whole]
    defining = [
        place for place, block in enumerate(blocks) if block.parses and defines(block.code, entry_point)
    ]
    if not defining:
        return _continued(text, blocks, entry_point, prompt, unfenced=unfenced)
    chosen = chosen_place(defining, [len(block.code) for block in blocks], rule)
    others = [block.code for block in (*reversed(blocks[:chosen]), *blocks[chosen + 1 :]) if block.parses]
    code, borrowed = _completed(blocks[chosen].code, others, entry_point, prompt)
    notes = [AnswerNote.WITHOUT_FENCE] if unfenced else []
    notes += [AnswerNote.SEVERAL_PROGRAMS] if len(defining) > 1 else []
    notes += [] if blocks[chosen] is whole[chosen] else [AnswerNote.CUT_OFF]
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
            code, borrowed = _completed(block.code, [], entry_point, prompt)
            return CandidateReading(
                code + _function_of_method(module, entry_point, prompt),
                (AnswerNote.METHOD_ALONE, *borrowed),
            )
    for body in [text] if unfenced else [block.code for block in reversed(blocks)]:
        for code in (prompt + body, f"{prompt.rstrip()}\n{textwrap.indent(textwrap.dedent(body), '    ')}"):
            if body.strip() and prompt.strip() and _completes(code, entry_point):
                header = prompt_header(prompt, entry_point)
                program, _ = assembled(code.strip("\n"), [], header, entry_point)
                return CandidateReading(program, (AnswerNote.BODY_ALONE,))
    return no_program(text)


def _completes(code: str, entry_point: str) -> bool:
    """Return whether a program compiles and its entry point returns something or uses a parameter."""
    module = parse_python(code)
    if module is None or not module.body or not defines(code, entry_point):
        return False
    try:
        compile(module, "<candidate>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return False
    name = entry_point.rpartition(".")[2]
    functions = [node for node in ast.walk(module) if isinstance(node, Definition) and node.name == name]
    return bool(functions) and _does_something(functions[-1])


def _does_something(function: Definition) -> bool:
    """Return whether a function, apart from functions within it, returns, raises or uses a parameter."""
    parameters = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    statements = [node for node in function.body if not isinstance(node, Definition)]
    return any(
        isinstance(node, ast.Return | ast.Yield | ast.YieldFrom | ast.Raise)
        or (isinstance(node, ast.Name) and node.id in parameters)
        for statement in statements
        for node in outside_functions(statement)
    )


def _completed(
    code: str, others: Sequence[str], entry_point: str, prompt: str
) -> tuple[str, tuple[AnswerNote, ...]]:
    """Program of a block that defines the entry point, and notes on where the rest of it came from."""
    header = prompt_header(prompt, entry_point)
    return assembled(without_usage(code, entry_point), others, header, entry_point)


def _function_of_method(module: ast.Module, entry_point: str, prompt: str) -> str:
    """Statement that makes a method a function of its name, if the prompt has the class."""
    owners = [
        node.name
        for node in module.body
        if isinstance(node, ast.ClassDef) and entry_point in method_names(node)
    ]
    if not owners or not re.search(rf"^\s*class\s+{re.escape(owners[-1])}\b", prompt, re.MULTILINE):
        return ""
    return f"\n\n{entry_point} = {owners[-1]}().{entry_point}\n"


def _without_cut_end(block: CodeBlock, entry_point: str) -> CodeBlock:
    """Block up to the last top-level statement before which it parses and defines the entry point.

    An answer that was cut off in a usage example still holds its program. One that was cut off within the
    entry point does not.
    """
    lines = block.code.split("\n")
    for end in range(len(lines) - 1, 0, -1):
        if lines[end].strip() and not lines[end][0].isspace():
            code = "\n".join(lines[:end])
            if parses(code):
                return CodeBlock(code, block.tag, defines(code, entry_point))
    return block

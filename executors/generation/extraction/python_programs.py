"""Python program that reads standard input, in a model's answer.

There is no entry point to look for: the program is the block that does something when it is run. Blocks of
text that happen to parse, such as an example of the output, do nothing. A block that only calls a function
of an earlier block is completed by that function first.
"""

import ast
from collections.abc import Sequence
from enum import IntEnum

from testbudget.executors.generation.extraction.candidates import (
    AnswerNote,
    CandidateReading,
    ExtractionRule,
    chosen_place,
    no_program,
)
from testbudget.executors.generation.extraction.code_blocks import CodeBlock, answer_text, code_blocks
from testbudget.executors.generation.extraction.python_assembly import assembled, runs_that_parse
from testbudget.executors.generation.extraction.python_statements import (
    PYTHON_TAGS,
    Definition,
    outside_functions,
    parse_python,
    parses,
)

_WRITING = frozenset({"print", "write", "writelines", "pprint", "stdout", "exec"})
_READING = frozenset({"input", "raw_input", "stdin", "fileinput", "exec"})


class _Activity(IntEnum):
    """Likelihood that a text is a whole program, by what it does when it is run."""

    NONE = 0
    DEFINES = 1  # functions that read or print, without a call
    PRINTS = 2
    READS_AND_PRINTS = 3


def read_python_program(text: str, rule: ExtractionRule) -> CandidateReading:
    """Program that reads standard input and prints, in an answer.

    Args:
        text: the answer.
        rule: which of several whole programs is taken.
    """
    text = answer_text(text)
    blocks = code_blocks(text, PYTHON_TAGS, parses)
    unfenced = not blocks
    blocks = blocks or [CodeBlock(run, "", True) for run in runs_that_parse(text, _does_something)]
    parsing = [block.code for block in blocks if block.parses]
    programs = [_completed(parsing, place) for place in range(len(parsing))]
    activities = [_activity(code) for code, _ in programs]
    best = max(activities, default=_Activity.NONE)
    if best is _Activity.NONE:
        return _broken_program(blocks) or no_program(text)
    whole = [place for place, activity in enumerate(activities) if activity is best]
    chosen = chosen_place(whole, [len(code) for code, _ in programs], rule)
    code, borrowed = programs[chosen]
    notes = [AnswerNote.WITHOUT_FENCE] if unfenced else []
    notes += [AnswerNote.SEVERAL_PROGRAMS] if len(whole) > 1 else []
    return CandidateReading(code, (*notes, *borrowed))


def _broken_program(blocks: Sequence[CodeBlock]) -> CandidateReading | None:
    """Last block with the tag of Python that prints but does not parse: the program that is meant."""
    meant = [block.code for block in blocks if block.tag and not block.parses and "print" in block.code]
    return CandidateReading(meant[-1] + "\n") if meant else None


def _completed(blocks: Sequence[str], place: int) -> tuple[str, tuple[AnswerNote, ...]]:
    others = [*reversed(blocks[:place]), *blocks[place + 1 :]]
    return assembled(blocks[place], others, "", "")


def _activity(code: str) -> _Activity:
    module = parse_python(code)
    if module is None:
        return _Activity.NONE
    words = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    words |= {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    words |= {
        alias.name for node in ast.walk(module) if isinstance(node, ast.Import) for alias in node.names
    }
    writes = bool(words & _WRITING)
    reads = (bool(words & _READING) or _opens_standard_input(module)) and not _feeds_itself(module)
    if not any(map(_acts, module.body)):
        return _Activity.DEFINES if reads and writes else _Activity.NONE
    if not writes:
        return _Activity.NONE
    return _Activity.READS_AND_PRINTS if reads else _Activity.PRINTS


def _does_something(module: ast.Module) -> bool:
    """Return whether a run of lines is code rather than words that happen to parse."""
    return any(
        isinstance(node, Definition | ast.Import | ast.ImportFrom | ast.Call) for node in ast.walk(module)
    )


def _acts(statement: ast.stmt) -> bool:
    """Return whether a top-level statement does something when it is run."""
    if isinstance(statement, Definition | ast.Import | ast.ImportFrom):
        return False
    return any(isinstance(node, ast.Call) for node in outside_functions(statement))


def _feeds_itself(module: ast.Module) -> bool:
    """Return whether a program puts a text of its own in the place of standard input, as tests do."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and any(map(_is_standard_input, node.targets)):
            used = {ast.unparse(part) for part in ast.walk(node.value) if isinstance(part, ast.expr)}
            if isinstance(node.value, ast.Call) and not used & {"sys.stdin", "stdin", "open", "os.read"}:
                return True
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {"patch", "setattr"}:
            words = {part.value for part in node.args if isinstance(part, ast.Constant)}
            if words & {"sys.stdin", "stdin", "builtins.input", "input"}:
                return True
    return False


def _is_standard_input(target: ast.expr) -> bool:
    return ast.unparse(target) in {"sys.stdin", "builtins.input", "__builtins__.input"}


def _opens_standard_input(module: ast.Module) -> bool:
    """Return whether a program opens standard input by its number or its path."""
    return any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"open", "os.read", "os.fdopen", "io.open"}
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value in (0, "/dev/stdin")
        for node in ast.walk(module)
    )

"""Candidate in a language whose programs are searched by pattern, not parsed: JavaScript, C++, plug-ins.

The rules are those for Python as far as patterns allow. The block that defines the entry point, or, of a
program that reads standard input, the one with a ``main`` function, is taken with the earlier blocks that
define names which it uses. Usage examples at the top level of JavaScript are left out.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from testbudget.executors.generation.extraction.candidates import (
    AnswerNote,
    CandidateReading,
    ExtractionRule,
    chosen_place,
    no_program,
)
from testbudget.executors.generation.extraction.code_blocks import CodeBlock, answer_text, code_blocks

_KEYWORDS = (
    r"\b(?:function\s*\*?|class|const|let|var|def|fn|func|struct|enum|interface|trait|type|union|namespace|record)"
    r"\s+(?:\([^()]*\)\s*)?"
)
_DEFINED = re.compile(rf"{_KEYWORDS}(\w+)")
_C_FUNCTION = re.compile(
    r"^(?!\s*(?:else|return|if|for|while|switch)\b)[\w:<>,*&\s\[\]]+?\b(\w+)\s*\([^;{}()]*\)[^;{}()]*\{",
    re.MULTILINE,
)
_WITH_C_FUNCTIONS = frozenset({"c", "c++", "cpp", "java", "csharp"})

_MAIN: dict[str, str] = {
    "c": r"\bmain\s*\(",
    "cpp": r"\bmain\s*\(",
    "c++": r"\bmain\s*\(",
    "java": r"\bmain\s*\(",
    "go": r"\bfunc\s+main\s*\(",
    "rust": r"\bfn\s+main\s*\(",
    "kotlin": r"\bfun\s+main\s*\(",
    "csharp": r"\bMain\s*\(",
}
_KNOWN = frozenset({*_MAIN, "javascript", "typescript"})
_SCRIPT = r"\bconsole\s*\.\s*\w+\s*\(|\bprocess\s*\.\s*stdout\b|\bprint(?:ln)?\b|\bputs\b|\becho\b|\bwrite"
_READS = r"\bstdin\b|\breadline|\breadFileSync\b|\bSTDIN\b|\bread\b|\bgets\b"
_CODE_LINE = re.compile(
    r"^\s*(?:#\s*include|import\b|package\b|using\b|use\b|public\b|class\b|struct\b|fn\b|func\b|function\b"
    r"|const\b|let\b|var\b|int\b|void\b|['\"]use strict|async\b|process\b|require\b|export\b|template\b"
    r"|typedef\b)"
    r".*[;{}>)('\"\w]\s*$"
)


class PatternLanguage(NamedTuple):
    """Language whose programs are searched by pattern.

    Attributes:
        name: its name, as in `Problem.language`.
        tags: language tags of its fenced blocks; the empty one for a fence without a tag.
        is_sound: function that returns whether a text can be a program.
        without_usage: function that removes usage examples of an entry point from a program.
    """

    name: str
    tags: Collection[str]
    is_sound: Callable[[str], bool] = bool
    without_usage: Callable[[str, str], str] = lambda code, _: code


def read_pattern_candidate(
    language: PatternLanguage, entry_point: str | None, prompt: str, text: str, rule: ExtractionRule
) -> CandidateReading:
    """Candidate in an answer.

    Args:
        language: language of the candidate.
        entry_point: function or class that it defines, ``Class.method``, or None for a program that reads
            standard input.
        prompt: the problem's prompt, which a body alone continues.
        text: the answer.
        rule: which of several programs in the answer is taken.
    """
    text = answer_text(text)
    blocks = code_blocks(text, language.tags, language.is_sound)
    notes: list[AnswerNote] = []
    if not blocks:
        blocks = [CodeBlock(run, "", language.is_sound(run)) for run in _runs_of_code(text)]
        notes = [AnswerNote.WITHOUT_FENCE]
    tagged = [block for block in blocks if block.tag]
    programs = [block.code for block in blocks if block.parses]
    programs = programs or [block.code for block in tagged or blocks]
    if entry_point is None:
        places = _whole_programs(language, programs)
    else:
        places = _defining(language, programs, entry_point)
    if not places:
        return _of_body(language, entry_point, prompt, blocks, text)
    chosen = chosen_place(places, [len(code) for code in programs], rule)
    notes += [AnswerNote.SEVERAL_PROGRAMS] if len(places) > 1 else []
    own = programs[chosen]
    parts = [own if entry_point is None else language.without_usage(own, entry_point)]
    for code in [*reversed(programs[:chosen]), *programs[chosen + 1 :]]:
        names = set(_names_of(language, code))
        missing = names - {name for part in parts for name in _names_of(language, part)}
        if names == missing and any(_uses(part, name) for part in parts for name in missing):
            parts.insert(0, code)
            notes.append(AnswerNote.OTHER_BLOCKS)
    return CandidateReading("\n\n".join(parts) + "\n", tuple(dict.fromkeys(notes)))


def _defining(language: PatternLanguage, programs: Sequence[str], entry_point: str) -> list[int]:
    """Positions of the programs that define an entry point.

    In a language whose definitions may look otherwise, a program that names the entry point will do.
    """
    word = re.escape(entry_point.replace("()", "").partition(".")[0])
    defines = re.compile(
        rf"{_KEYWORDS}{word}(?![\w$])|(?<![\w$]){word}\s*=[^=]|^[\w:<>,*&\s\[\]]+\s{word}\s*\([^;{{}}]*\)\s*\{{",
        re.MULTILINE,
    )
    found = [place for place, code in enumerate(programs) if defines.search(code)]
    if found or language.name in _KNOWN:
        return found
    return [place for place, code in enumerate(programs) if _uses(code, word)]


def _whole_programs(language: PatternLanguage, programs: Sequence[str]) -> list[int]:
    """Positions of the programs with a ``main`` function, or, in a script, of those that read and print."""
    shapes = [_MAIN[language.name]] if language.name in _MAIN else [_READS, _SCRIPT]
    for used in (shapes, shapes[-1:]):
        found = [
            place for place, code in enumerate(programs) if all(re.search(shape, code) for shape in used)
        ]
        if found:
            return found
    return []


def _of_body(
    language: PatternLanguage,
    entry_point: str | None,
    prompt: str,
    blocks: Sequence[CodeBlock],
    text: str,
) -> CandidateReading:
    """Body of the prompt's function, if the prompt leaves one open; else no program."""
    if entry_point is not None and prompt.rstrip().endswith("{"):
        for body in [block.code for block in reversed(blocks)] or [text]:
            for code in (f"{prompt.rstrip()}\n{body}", f"{prompt.rstrip()}\n{body}\n}}"):
                if (
                    re.search(r"\breturn\b", body)
                    and language.is_sound(code)
                    and code.count("{") == code.count("}")
                ):
                    return CandidateReading(f"{code.rstrip()}\n", (AnswerNote.BODY_ALONE,))
    return no_program(text)


def _names_of(language: PatternLanguage, code: str) -> list[str]:
    names = [name for name in _DEFINED.findall(code) if name]
    if language.name in _WITH_C_FUNCTIONS:
        names += _C_FUNCTION.findall(code)
    return names


def _uses(code: str, name: str) -> bool:
    return re.search(rf"(?<![\w$.]){name}(?![\w$])", code) is not None


def _runs_of_code(text: str) -> list[str]:
    """Text from its first line of code to its last line that ends like one, if it has any."""
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if _CODE_LINE.match(line)]
    ends = [number for number, line in enumerate(lines) if line.rstrip().endswith((";", "}", ")"))]
    if not starts or not ends or ends[-1] < starts[0]:
        return []
    return ["\n".join(lines[starts[0] : ends[-1] + 1])]

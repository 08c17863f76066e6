"""Candidate in a language whose programs are searched by pattern, not parsed: JavaScript, C++, plug-ins.

The rules are those for Python as far as patterns allow. The block that defines the entry point, or, of a
program that reads standard input, the one with a ``main`` function, is taken with the earlier blocks that
define names which it uses. Usage examples at the top level of JavaScript are left out.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from testbudget.executors.execution.languages.compiled.program_text import code_alone
from testbudget.executors.generation.extraction.candidates import (
    AnswerNote,
    CandidateReading,
    ExtractionRule,
    chosen_place,
    no_program,
)
from testbudget.executors.generation.extraction.code_blocks import CodeBlock, answer_text, code_blocks

_RECEIVER = r"(?:\([^()]*\)\s*)?"  # of a method in Go
_KEYWORDS = (
    r"\b(?:function\s*\*?|class|const|let|var|def|fn|func|struct|enum|interface|trait|type|union|namespace|record)"
    rf"\s+{_RECEIVER}"
)
_DEFINED = re.compile(rf"{_KEYWORDS}(\w+)")
_C_FUNCTION = re.compile(
    r"^(?!\s*(?:else|return|if|for|while|switch)\b)[\w:<>,*&\s\[\]]+?\b(\w+)\s*\([^;{}()]*\)[^;{}()]*\{",
    re.MULTILINE,
)
_WITH_C_FUNCTIONS = frozenset({"c", "c++", "cpp", "java", "csharp"})

_C_TYPE = r"\b(?:class|struct|enum|union|namespace|interface|record)\s+(\w+)[^;{}=]*\{"
_DEFINITIONS = {
    "c": _C_TYPE,
    "c++": _C_TYPE,
    "cpp": _C_TYPE,
    "java": _C_TYPE,
    "go": rf"\b(?:func|type|var|const)\s+{_RECEIVER}(\w+)",
    "rust": r"\b(?:fn|struct|enum|trait|type|const|static|mod|union)\s+(\w+)",
}  # instead of those of all languages, which may stand in a block of words
_MAIN: dict[str, str] = {
    "c": r"\bmain\s*\(",
    "cpp": r"\bmain\s*\(",
    "c++": r"\bmain\s*\(",
    "java": r"\bvoid\s+main\s*\(",
    "go": r"\bfunc\s+main\s*\(",
    "rust": r"\bfn\s+main\s*\(",
    "kotlin": r"\bfun\s+main\s*\(",
    "csharp": r"\bMain\s*\(",
}
_KNOWN = frozenset({*_MAIN, "javascript", "typescript"})
_C_READS = (
    r"\bcin\b|scanf\b|\bgetline\b|\bf?get(?:s|c|char)\w*|\bstdin\b|STDIN|\bf?read\s*\(|\bmmap\b|\bgetchar"
)
_MAIN_READS: dict[str, str] = {
    "c": _C_READS,
    "cpp": _C_READS,
    "c++": _C_READS,
    "java": r"\bSystem\s*\.\s*(?:in|console)\b|\bFileDescriptor\s*\.\s*in\b",
    "go": r"\bos\.Stdin\b|\bfmt\.Scan|\bsyscall\.",
    "rust": r"\bstdin\b|\bread_",
    "kotlin": r"\breadl\w*|\bSystem\s*\.\s*`?in\b",
    "csharp": r"\bConsole\s*\.\s*(?:Read|In\b|OpenStandardInput)",
}
_C_FIRST = r"^[ \t]*#[ \t]*include[ \t]*<[^<>\n]*>"
_CPP_FIRST = rf"{_C_FIRST}|^using[ \t]+namespace[ \t]+std[ \t]*;"
_FIRST_LINES: dict[str, str] = {
    "c": _C_FIRST,
    "cpp": _CPP_FIRST,
    "c++": _CPP_FIRST,
    "java": r"^[ \t]*(?:package|import)[ \t]+[\w.* ]+;",
    "go": r"^(?:package[ \t]+\w+|import[ \t]*\([^)]*\)|import[ \t]+(?:[\w.]+[ \t]+)?\"[^\"\n]*\")",
}  # of a program of several blocks: they stand before all definitions
_OPENS = {
    **dict.fromkeys(("c", "c++", "cpp"), re.compile(r"^[ \t]*#[ \t]*include\b", re.MULTILINE)),
    "java": re.compile(r"^[ \t]*import\b", re.MULTILINE),
    "go": re.compile(r"^package\b", re.MULTILINE),
}  # lines at the beginning of most programs
_COMPLETE = {**_OPENS, "java": re.compile(r"\b(?:class|interface|enum|record)\s+\w")}
_ELLIPSIS = re.compile(
    r"^[ \t]*(?:\.\.\.|\u2026)[ \t]*$", re.MULTILINE
)  # of a program that is quoted in part
_REPEATABLE = frozenset({"c", "cpp", "c++"})  # languages that let these lines stand in later places, too
_CONDITIONAL = re.compile(r"^[ \t]*#[ \t]*if.*?^[ \t]*#[ \t]*endif", re.MULTILINE | re.DOTALL)
_PUBLIC_TYPE = re.compile(
    r"^public[ \t]+(?=(?:(?:abstract|final|sealed)[ \t]+)*(?:class|interface|enum|record)\b)", re.M
)
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
        ends = ("}", "};") if language.name in _MAIN else (";", "}", ")")
        blocks = [CodeBlock(run, "", language.is_sound(run)) for run in _runs_of_code(text, ends)]
        notes = [AnswerNote.WITHOUT_FENCE]
    tagged = [block for block in blocks if block.tag]
    programs = [block.code for block in blocks if block.parses]
    programs = programs or [block.code for block in tagged or blocks]
    if entry_point is None:
        places = _whole_programs(language, programs)
        if not places and language.name in _MAIN:  # the block has the tag of another language
            programs = [block.code for block in code_blocks(text, _AnyTag(), bool)]
            places = _whole_programs(language, programs)
    else:
        places = _defining(language, programs, entry_point)
    if not places:
        return _of_body(language, entry_point, prompt, blocks, text)
    chosen = chosen_place(places, [len(code) for code in programs], rule)
    notes += [AnswerNote.SEVERAL_PROGRAMS] if len(places) > 1 else []
    own = programs[chosen]
    parts = [own if entry_point is None else language.without_usage(own, entry_point)]
    if before := _parts_before(language, programs[:chosen], own):
        parts = [*before, *parts]
        notes.append(AnswerNote.OTHER_BLOCKS)
    for code in [*reversed(programs[:chosen]), *programs[chosen + 1 :]]:
        names = set(_names_of(language, code)) if _is_complete(language, code, {}) else set()
        missing = names - {name for part in parts for name in _names_of(language, part)}
        if names == missing and any(
            _uses(_code_of(language, part), name) for part in parts for name in missing
        ):
            parts.insert(0, code)
            notes.append(AnswerNote.OTHER_BLOCKS)
    return CandidateReading(_joined(language, parts), tuple(dict.fromkeys(notes)))


def _parts_before(language: PatternLanguage, programs: Sequence[str], own: str) -> list[str]:
    """Blocks before one with a ``main`` function, if the program begins in one of them; else none.

    A block is left out if later ones define its names anew.
    """
    opens = _OPENS.get(language.name)
    main = re.compile(_MAIN.get(language.name, ""))
    rest = [code for code in programs if not main.search(_code_of(language, code))]
    if opens is None or not main.search(own) or opens.search(own) or not any(map(opens.search, rest)):
        return []
    parts: list[str] = []
    known = set(_names_of(language, own))
    for code in reversed(rest):
        names = set(_names_of(language, code))
        if _is_complete(language, code, {}) and not (names and names <= known):
            parts.insert(0, code)
            known |= names
    return parts


class _AnyTag(frozenset[str]):
    """Set of all tags."""

    def __contains__(self, _: object) -> bool:
        return True


def _joined(language: PatternLanguage, parts: Sequence[str]) -> str:
    """Program of several blocks, the last of which is the one with the entry point or ``main`` function."""
    name = language.name
    if len(parts) > 1 and name in _FIRST_LINES:
        first_line = re.compile(_FIRST_LINES[name], re.MULTILINE)
        codes = [_CONDITIONAL.sub("", part) if name in _REPEATABLE else part for part in reversed(parts)]
        found = [line.strip() for code in codes for line in first_line.findall(code)]
        head = sorted(dict.fromkeys(found), key=lambda line: ("package", "#", "").index(_first_of(line)))
        if name not in _REPEATABLE:
            parts = [first_line.sub("", part).strip("\n") for part in parts]
        if name == "java":  # one file has one public type
            parts = [*(_PUBLIC_TYPE.sub("", part) for part in parts[:-1]), parts[-1]]
        parts = ["\n".join(head), *parts] if head else parts
    return "\n\n".join(parts) + "\n"


def _first_of(line: str) -> str:
    return next((word for word in ("package", "#") if line.startswith(word)), "")


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
    """Positions of the programs that read and have a ``main`` function, or, of a script, read and print.

    Where no program reads, positions of those that have a ``main`` function, or print. Parts of a program
    that an explanation quotes count only where nothing is complete.
    """
    name = language.name
    complete = [code if _is_complete(language, code) else "" for code in programs]
    if complete != [*programs] and (places := _whole_programs(language, complete)):
        return places
    shapes = [_MAIN_READS[name], _MAIN[name]] if name in _MAIN else [_READS, _SCRIPT]
    codes = [_code_of(language, code) for code in programs]
    for used in (shapes, shapes[-1:]):
        found = [place for place, code in enumerate(codes) if all(re.search(shape, code) for shape in used)]
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
    code = _code_of(language, code)
    names = re.findall(_DEFINITIONS.get(language.name, _DEFINED), code)
    if language.name in _WITH_C_FUNCTIONS:
        names += _C_FUNCTION.findall(code)
    return names


def _is_complete(
    language: PatternLanguage, text: str, needed: Mapping[str, re.Pattern[str]] = _COMPLETE
) -> bool:
    """Return whether a block is no part of a program: its braces are closed, nothing is left out in it.

    Args:
        language: language of the block; if it has no ``main`` function, every block is complete.
        text: the block.
        needed: what a block has to hold beside, by language.
    """
    if language.name not in _MAIN:
        return True
    code = _code_of(language, text)
    shape = needed.get(language.name)
    return (
        code.count("{") == code.count("}")
        and not _ELLIPSIS.search(code)
        and (shape is None or shape.search(code) is not None)
    )


def _code_of(language: PatternLanguage, text: str) -> str:
    """Text without comments and literals, where the language writes them as C does."""
    return code_alone(text) if language.name in _MAIN else text


def _uses(code: str, name: str) -> bool:
    return re.search(rf"(?<![\w$.])(?<!::){name}(?![\w$])", code) is not None


def _runs_of_code(text: str, endings: tuple[str, ...]) -> list[str]:
    """Text from its first line of code to its last line with one of these endings, if it has any."""
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if _CODE_LINE.match(line)]
    ends = [number for number, line in enumerate(lines) if line.rstrip().endswith(endings)]
    if not starts or not ends or ends[-1] < starts[0]:
        return []
    return ["\n".join(lines[starts[0] : ends[-1] + 1])]

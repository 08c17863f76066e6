"""Inputs of a program and its expected outputs in a model's answer.

Models write them as JSON, between tags, or below labels such as ``Input:`` and ``Sample Output 2``, with
fences or without. An answer is one test, and it may hold several pairs: a candidate passes the test if it
passes all of them. An input whose output is missing, as at the end of an answer that was cut off, is left
out.
"""

import ast
import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from testbudget.executors.generation.extraction.answers import Rejection, UnusableError
from testbudget.executors.generation.extraction.code_blocks import answer_text
from testbudget.rewards.problem import TestKind
from testbudget.rewards.stdin_case import StdinCase, cases_as_text, stdin_cases

_INPUT_NAMES = ("stdin", "input", "inputs", "standard_input", "test_input", "sample_input")
_OUTPUT_NAMES = (
    "expected_stdout",
    "expected_output",
    "stdout",
    "output",
    "outputs",
    "expected",
    "answer",
    "test_output",
    "sample_output",
)
_IN = r"(?:std\s?in(?:put)?|inputs?)"
_OUT = r"(?:(?:expected\s+|correct\s+)?(?:std\s?out(?:put)?|outputs?|results?|answer)|expected)"
_LABEL = re.compile(
    r"^[ \t>]*(?:[-*+][ \t]+|\d+[.)][ \t]+)?(?:#{1,6}[ \t]*)?[*_\[]{0,3}"
    r"(?:(?:the|a|standard|sample|example|test|case|new)[ \t]+){0,4}(?:\#?\d+[ \t:.-]*)?"
    rf"(?:(?P<input>{_IN})|(?P<output>{_OUT}))"
    r"[ \t]*(?:\(?(?:std(?:in|out)|file|data|case|text|example|copy)\)?)?[ \t]*(?:\#?\d+)?"
    r"[ \t]*[*_\]]{0,3}[ \t]*(?:(?P<colon>[:=]|->|→)[ \t]*[*_]{0,3}[ \t]*(?P<rest>.*)|)$",
    re.IGNORECASE,
)
_OTHER_LABEL = re.compile(
    r"^[ \t>]*(?:#{1,6}[ \t]+\S.*|(?:[-*]{3,}|={3,})|[*_]{0,3}(?:explanation|notes?|reason(?:ing)?"
    r"|rationale|why|constraints|(?:test|sample|example)(?:[ \t]+case)?[ \t]*\#?\d*)[*_]{0,3}"
    r"[ \t]*(?::.*|[*_]*)|\[/?\w+\])$",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^[ \t>]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<tag>[\w-]*)[ \t]*$")
_TAGGED = re.compile(
    rf"[<\[](?P<tag>{_IN}|test_input|{_OUT}|expected_output|expected_stdout|test_output)[>\]]"
    r"(?P<text>.*?)[<\[]/(?P=tag)[>\]]",
    re.IGNORECASE | re.DOTALL,
)
_INLINE_CODE = re.compile(r"^(`+)(.+)\1$")
_OPENS_PROSE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ(*")
_PLACEHOLDER = re.compile(
    r"^\s*(?:\.{3}|…|\((?:the|your)\b.*\)|<[\w ]+>|\[?(?:your|the) (?:in|out)put.*)\s*$", re.IGNORECASE
)


class _Piece(NamedTuple):
    """Input or output in an answer."""

    is_input: bool
    text: str


def extract_stdin_test(text: str) -> tuple[str, TestKind]:
    """Test of a program that reads standard input in an answer: its code and kind.

    Args:
        text: the answer.

    Raises:
        UnusableError: the answer holds no input with its output.
    """
    text = answer_text(text)
    cases = _of_json(text) or _paired(_of_tags(text)) or _paired(_of_labels(text.split("\n")))
    cases = cases or _of_two_blocks(text)
    usable = [case for case in dict.fromkeys(cases) if not _is_placeholder(case)]
    if not usable:
        raise UnusableError(Rejection.NO_INPUT_AND_OUTPUT)
    if len({case.stdin for case in usable}) < len(usable):
        raise UnusableError(Rejection.CONTRADICTION)
    return cases_as_text(usable), TestKind.STDIN


def stdin_inputs(text: str) -> list[str]:
    """Inputs of programs in an answer, with or without outputs, in their order.

    They stand in cases, between tags or below labels; else each fenced block is an input.

    Args:
        text: the answer, without end marks.
    """
    if cases := _of_json(text):
        found = [case.stdin for case in cases]
    else:
        pieces = _of_tags(text) or _of_labels(text.split("\n"))
        found = [piece.text for piece in pieces if piece.is_input] or list(_fenced(text))
    return [_case(given, "").stdin for given in found if given.strip() and not _PLACEHOLDER.match(given)]


def stdin_normal_form(code: str) -> str:
    """Normal form of a test's code: its cases in the order of their inputs, without blanks at the ends."""
    cases = [
        StdinCase(_stripped(case.stdin), _stripped(case.expected_stdout or ""))
        for case in stdin_cases(code)
    ]
    return cases_as_text(sorted(cases, key=lambda case: case.stdin))


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))


def _is_placeholder(case: StdinCase) -> bool:
    """Return whether a case is the form that a prompt shows rather than a test."""
    return any(_PLACEHOLDER.match(text or "") for text in (case.stdin, case.expected_stdout))


def _of_json(text: str) -> list[StdinCase]:
    """Cases in the JSON or the literals of an answer, in fenced blocks of it or in its whole text."""
    for found in [*_fenced(text), text]:
        for value in _values(found.strip()):
            if cases := list(_cases_of(value)):
                return cases
    return []


def _fenced(text: str) -> Iterator[str]:
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        number += 1
        if opening:
            end = _end_of_fence(lines, number, opening["fence"])
            yield "\n".join(lines[number:end])
            number = end + 1


def _end_of_fence(lines: Sequence[str], start: int, fence: str) -> int:
    """Line of the closing fence of a block, or the line after the last."""
    closing = (n for n in range(start, len(lines)) if lines[n].strip().startswith(fence))
    return next(closing, len(lines))


def _values(text: str) -> Iterator[Any]:
    """Values that a text may stand for: JSON, JSON Lines, a literal of Python or an assignment of one."""
    if not re.search(r"[{\[(]", text):
        return
    try:
        yield json.loads(text, strict=False)
    except (ValueError, RecursionError):
        lines = [line for line in text.split("\n") if line.strip()]
        for read in (
            lambda: [json.loads(line) for line in lines],
            lambda: _literal(text),
            lambda: _embedded(text),
        ):
            try:
                yield read()
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                continue


def _literal(text: str) -> Any:
    (statement,) = ast.parse(text.strip()).body
    if isinstance(statement, ast.Assign | ast.Expr):
        return ast.literal_eval(statement.value)
    raise ValueError("no literal")


def _embedded(text: str) -> Any:
    """JSON between the first opening and the last closing brace of a text."""
    start = min(place for place in (text.find("{"), text.find("[{")) if place >= 0)
    return json.loads(text[start : max(text.rfind("}"), text.rfind("]")) + 1], strict=False)


def _cases_of(value: Any) -> Iterator[StdinCase]:
    """Cases of a value: objects with named fields, pairs of texts, or lists of these, also in an object."""
    if isinstance(value, dict):
        named = {str(name).lower().replace(" ", "_"): field for name, field in value.items()}
        given = next((named[name] for name in _INPUT_NAMES if name in named), None)
        wanted = next((named[name] for name in _OUTPUT_NAMES if name in named), None)
        if given is not None and wanted is not None:
            yield from _pairs_of(given, wanted, plural="inputs" in named and "outputs" in named)
        elif len(named) == 1 or {"tests", "test_cases", "cases"} & set(named):
            for field in named.values():
                yield from _cases_of(field) if isinstance(field, list | dict) else ()
    elif isinstance(value, list):
        for entry in value:
            if (
                isinstance(entry, tuple | list)
                and len(entry) == 2
                and all(isinstance(x, str) for x in entry)
            ):
                yield from _pairs_of(*entry, plural=False)
            elif isinstance(entry, dict):
                yield from _cases_of(entry)


def _pairs_of(given: Any, wanted: Any, *, plural: bool) -> Iterator[StdinCase]:
    if plural and isinstance(given, list) and isinstance(wanted, list):
        if len(given) == len(wanted):
            for one, other in zip(given, wanted, strict=True):
                yield from _pairs_of(one, other, plural=False)
        return
    texts = [_as_text(value) for value in (given, wanted)]
    if texts[0] is not None and texts[1] is not None:
        yield _case(texts[0], texts[1])


def _as_text(value: Any) -> str | None:
    """Text of a field: a text, a number, or a list of lines."""
    match value:
        case bool() | None | dict():
            return None
        case str():
            return value
        case int() | float():
            return str(value)
        case list():
            lines = [_as_text(line) for line in value]
            return None if None in lines else "\n".join(map(str, lines))
    return None


def _case(given: str, wanted: str) -> StdinCase:
    """Case of two texts, each with a line end at its end unless it is empty."""
    given, wanted = (text if not text or text.endswith("\n") else f"{text}\n" for text in (given, wanted))
    return StdinCase(given, wanted)


def _paired(pieces: Sequence[_Piece]) -> list[StdinCase]:
    """Each output with the last input before it that has none yet."""
    cases = []
    given: str | None = None
    for piece in pieces:
        if piece.is_input:
            given = piece.text
        elif given is not None:
            cases.append(_case(given, piece.text))
            given = None
    return cases


def _of_tags(text: str) -> list[_Piece]:
    return [
        _Piece(
            re.fullmatch(rf"{_IN}|test_input", found["tag"], re.IGNORECASE) is not None,
            _trimmed(found["text"]),
        )
        for found in _TAGGED.finditer(text)
    ]


def _trimmed(text: str) -> str:
    """Text without a fence around it and without the lines of blanks around it."""
    blocks = list(_fenced(text))
    return blocks[0] if blocks else re.sub(r"\A[ \t]*\n|\n[ \t]*\Z", "", text).strip("\n")


def _of_labels(lines: Sequence[str]) -> list[_Piece]:
    """Inputs and outputs below or behind their labels, and in fenced blocks that are tagged with them."""
    pieces: list[_Piece] = []
    number = 0
    while number < len(lines):
        label = _LABEL.match(lines[number])
        fence = _FENCE.match(lines[number])
        if fence:
            end = _end_of_fence(lines, number + 1, fence["fence"])
            inner = lines[number + 1 : end]
            if tag := re.fullmatch(rf"(?P<input>{_IN})|{_OUT}", fence["tag"], re.IGNORECASE):
                pieces.append(_Piece(bool(tag["input"]), "\n".join(inner)))
            else:
                pieces += _of_labels(inner)
            number = end + 1
        elif label and (label["rest"] or "").strip():
            number += 1
            rest = label["rest"].strip()
            shown = [_without_backquotes(rest)]
            if shown == [rest]:
                shown, number = _raw(lines, number, shown)
            pieces.append(_Piece(label["input"] is not None, "\n".join(shown)))
        elif label and (label["colon"] or _stands_alone(lines[number])):
            text, number = _below(lines, number + 1)
            if text is not None:
                pieces.append(_Piece(label["input"] is not None, text))
        else:
            number += 1
    return pieces


def _stands_alone(line: str) -> bool:
    """Return whether a line without a colon is a heading, not a word of the input or output."""
    return not line.strip()[0].islower() or re.search(r"put", line) is not None


def _below(lines: Sequence[str], start: int) -> tuple[str | None, int]:
    """Text below a label, between fences or up to the next label or None, and the line after it."""
    number = start
    while number < len(lines) and not lines[number].strip():
        number += 1
    if number < len(lines) and (fence := _FENCE.match(lines[number])):
        end = _end_of_fence(lines, number + 1, fence["fence"])
        return "\n".join(lines[number + 1 : end]), end + 1
    text, after = _raw(lines, number, [])
    if not text and after >= len(lines):
        return None, after
    if all(line.startswith(("    ", "\t")) for line in text if line.strip()):  # a block of Markdown
        return textwrap.dedent("\n".join(text)), after
    return "\n".join(map(_without_backquotes, text)), after


def _raw(lines: Sequence[str], start: int, text: list[str]) -> tuple[list[str], int]:
    """Lines up to the next label, heading or fence, without blank lines at their end."""
    number = start
    found = list(text)
    while number < len(lines):
        line = lines[number]
        ends = (_LABEL.match(line), _OTHER_LABEL.match(line), _FENCE.match(line))
        if any(ends) or (not line.strip() and _is_prose(lines, number + 1)):
            break
        found.append(line)
        number += 1
    while found and not found[-1].strip():
        found.pop()
    return found, number


def _is_prose(lines: Sequence[str], start: int) -> bool:
    """Return whether the next line that is not blank is a sentence, rather than data."""
    line = next((line.strip() for line in lines[start:] if line.strip()), "")
    return len(line.split()) > 3 and line[0] in _OPENS_PROSE and line[-1] in ".:!)"


def _without_backquotes(line: str) -> str:
    found = _INLINE_CODE.match(line.strip())
    return found[2] if found else line


def _of_two_blocks(text: str) -> list[StdinCase]:
    """The case of an answer whose only fenced blocks are two: an input, then its output."""
    blocks = list(_fenced(text))
    tags = {found["tag"] for line in text.split("\n") if (found := _FENCE.match(line))}
    return [_case(*blocks)] if len(blocks) == 2 and tags <= {"", "text", "txt", "plaintext"} else []

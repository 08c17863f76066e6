"""Extraction of JavaScript tests: one program that uses ``node:test`` or ``node:assert`` alone.

The whole program is kept, without copies of the entry point. It is scanned for strings, comments and
brackets but not parsed; a program that does not compile is found when it is run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from testbudget.executors.generation.extraction.answers import (
    Rejection,
    UnusableError,
)
from testbudget.executors.generation.extraction.code_blocks import answer_text, code_blocks
from testbudget.rewards.problem import TestKind

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
_EXPRESSION = re.compile(r"/(?![*/])(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*")
_TEMPLATE_PIECE = re.compile(r"(?:\\(?:.|\Z)|\$(?!\{)|[^\\`$])*(`|\$\{|\Z)", re.DOTALL)
# After these a slash begins a regular expression; elsewhere it divides.
_BEFORE_EXPRESSION = re.compile(
    r"(?:^|[(,=:\[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|throw))\s*\Z"
)
_LOOKED_BACK = 64


@dataclass(frozen=True, slots=True)
class CodeStructure:
    """Structure of a JavaScript text, character by character.

    Attributes:
        code: the text with blanks instead of comments and of the contents of strings, templates and regular
            expressions; of the same length, with the same line ends.
        comments: start and end of each comment.
        depths: number of open brackets before each character.
        open_at: brackets open at the end of each line, outermost first, by position of the line end. A
            backquote stands for a template. Lines after the first bracket that closes nothing are missing.
        sound: True if every bracket, string and template is closed.
    """

    code: str
    comments: tuple[tuple[int, int], ...]
    depths: tuple[int, ...]
    open_at: dict[int, str]
    sound: bool


def scan_code(text: str) -> CodeStructure:
    """Structure of a JavaScript text."""
    return _Scan(text).run()


def is_sound(text: str) -> bool:
    """Return whether every bracket, string and template of a JavaScript text is closed."""
    return scan_code(text).sound


class _Scan:
    """Scan of one text, from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._code: list[str] = []
        self._comments: list[tuple[int, int]] = []
        self._depths: list[int] = []
        self._open: list[str] = []
        self._open_at: dict[int, str] = {}
        self._sound = True

    def run(self) -> CodeStructure:
        place = 0
        while place < len(self._text) and self._sound:
            place = self._step(place)
        rest = self._text[len(self._code) :]
        self._put(rest, kept=False)
        return CodeStructure(
            "".join(self._code),
            tuple(self._comments),
            tuple(self._depths),
            self._open_at,
            self._sound and not self._open,
        )

    def _step(self, place: int) -> int:
        text = self._text
        character = text[place]
        if found := _TOKEN.match(text, place):
            if found[0].startswith(("//", "/*")):
                self._comments.append(found.span())
                self._put(found[0], kept=False)
            else:
                self._put_quoted(found[0])
            return found.end()
        if character == "/" and _BEFORE_EXPRESSION.search("".join(self._code[-_LOOKED_BACK:])):
            found = _EXPRESSION.match(text, place)
            if found:
                self._put_quoted(found[0])
                return found.end()
        if character == "`":
            return self._template(place)
        if character in _CLOSING:
            self._put(character)
            self._open.append(character)
            return place + 1
        if character in _CLOSING.values():
            return self._close(place)
        if character == "\n":
            self._open_at[place] = "".join(self._open)
        if character in "'\"":  # a string that its line does not close
            self._sound = False
        self._put(character)
        return place + 1

    def _template(self, place: int) -> int:
        """Scan a template from a backquote or a closing brace to the next ``${`` or to its end."""
        found = _TEMPLATE_PIECE.match(self._text, place + 1)
        assert found is not None
        if not self._open or self._open[-1] != "`":
            self._open.append("`")
        self._put_quoted(self._text[place : found.end()])
        if found[1] == "${":
            self._open.append("{")
        elif found[1] == "`":
            self._open.pop()
        return found.end()

    def _close(self, place: int) -> int:
        character = self._text[place]
        if not self._open or _CLOSING.get(self._open[-1]) != character:
            self._sound = False
            return place
        self._open.pop()
        if self._open and self._open[-1] == "`":
            return self._template(place)
        self._put(character)
        return place + 1

    def _put_quoted(self, piece: str) -> None:
        self._put(piece[0])
        if len(piece) > 1:
            self._put(piece[1:-1], kept=False)
            self._put(piece[-1])

    def _put(self, piece: str, *, kept: bool = True) -> None:
        self._code += piece if kept else ["\n" if character == "\n" else " " for character in piece]
        self._depths += [len(self._open)] * len(piece)


TAGS = ("javascript", "js", "node", "mjs", "cjs", "")
"""Language tags of fenced blocks with JavaScript code."""

_LOOKS_LIKE_JAVASCRIPT = re.compile(
    r"^(?:(?:import|const|let|var|function|async|class) |['\"]use strict|(?:test|describe|it)\()",
    re.MULTILINE,
)
_TEST_CALL = re.compile(r"(?<![\w$.])(?:test|it)(?:\.only)?\s*\(")
_OF_NODE_TEST = ("test", "it", "describe", "suite", "before", "after", "beforeEach", "afterEach")
_MODULE = re.compile(
    r"(?P<bound>^[ \t]*(?:import\b[^'\"()]*|(?:const|let|var)\b[^=]*=\s*))?"
    r"\b(?:require\s*\(\s*|from\s*|import\s+)(?P<quote>['\"])(?P<name>[^'\"\n]+)(?P=quote)",
    re.MULTILINE,
)
_NODE_MODULES = frozenset(
    "assert assert/strict async_hooks buffer child_process console crypto dns events fs fs/promises http "
    "https module net os path perf_hooks process punycode querystring readline stream stream/promises "
    "string_decoder test timers timers/promises tty url util v8 vm worker_threads zlib".split()
)
_CANDIDATE = "./solution"  # the sandbox resolves any relative path to the candidate
_CONTINUES_LINE = re.compile(r"[.,+\-*/%&|^?:=([<>`]|in\b|of\b|instanceof\b")
_NEEDS_NEXT_LINE = re.compile(
    r"(?:[.,+\-*/%&|^?:=([{<>!~]|\b(?:in|of|instanceof|new|typeof|return|await))\s*\Z"
)


def extract_javascript_test(text: str, entry_point: str) -> tuple[str, TestKind]:
    """Unit test in an answer, and its form.

    Args:
        text, entry_point: as for `extract_unit_test`.

    Raises:
        UnusableError: the answer holds no usable test.
    """
    code = _complete(_source(text))
    code = _without_definitions(code, entry_point)
    code = _with_candidate_module(code, entry_point)
    bare = scan_code(code).code
    if not _TEST_CALL.search(bare):
        raise UnusableError(Rejection.NO_TEST_CALL)
    if not _mentions(bare, entry_point):
        raise UnusableError(Rejection.ENTRY_POINT_UNUSED)
    if not _mentions(bare, "assert"):
        raise UnusableError(Rejection.NO_ASSERTION)
    return "\n".join([*_forgotten_imports(bare), code.strip()]) + "\n", TestKind.UNITTEST


def without_javascript_usage(code: str, entry_point: str) -> str:
    """Candidate without the top-level statements that print, check or call it."""
    name = re.escape(entry_point.replace("()", "").partition(".")[0])
    shown = re.compile(
        rf"^[ \t]*(?:console\s*\.\s*\w+|assert(?:\s*\.\s*\w+)*|process\s*\.\s*exit|(?:new\s+)?{name})\s*\(",
        re.MULTILINE,
    )
    scanned = scan_code(code)
    if not scanned.sound:
        return code
    kept, end = [], 0
    for found in shown.finditer(scanned.code):
        if found.start() < end or scanned.depths[found.start()] > 0:
            continue
        kept.append(code[end : found.start()])
        end = _end_of_statement(scanned.code, scanned.depths, found.start())
    return "".join([*kept, code[end:]])


def javascript_normal_form(code: str) -> str:
    """Code without comments, indentation and blank lines."""
    kept = []
    end = 0
    for start, stop in scan_code(code).comments:
        kept.append(code[end:start])
        end = stop
    kept.append(code[end:])
    lines = (line.strip() for line in " ".join(kept).splitlines())
    return "\n".join(line for line in lines if line)


def _source(text: str) -> str:
    """Code that holds the test: the first block that contains ``assert``, or the bare text."""
    text = answer_text(text)
    blocks = [block.code for block in code_blocks(text, TAGS, is_sound)]
    if blocks:
        return next((block for block in blocks if "assert" in block), blocks[0])
    beginning = _LOOKS_LIKE_JAVASCRIPT.search(text)
    if beginning is None:
        raise UnusableError(Rejection.NO_CODE)
    return text[beginning.start() :]


def _complete(code: str) -> str:
    """Code; if it is truncated, the part up to its last complete statement, with brackets closed."""
    scanned = scan_code(code + "\n")
    if scanned.sound:
        return code
    for end, brackets in reversed(scanned.open_at.items()):
        whole = scanned.code[:end].rstrip()
        if whole.endswith((";", "}")) and not {"[", "`"} & set(brackets):
            return code[: len(whole)] + "".join(_CLOSING[bracket] for bracket in reversed(brackets))
    raise UnusableError(Rejection.DOES_NOT_PARSE)


def _without_definitions(code: str, entry_point: str) -> str:
    """Code without definitions that would replace the candidate."""
    name = re.escape(entry_point)
    body = rf"(?:async\s+)?function\b\s*\*?\s*{name}\s*\(|class\s+{name}\b"
    value = rf"(?:const|let|var)\s+{name}\s*=(?!\s*(?:await\s+)?(?:require|import)\b)"
    definition = re.compile(
        rf"^[ \t]*(?:export\s+)?(?:default\s+)?(?:(?P<body>{body})|{value})", re.MULTILINE
    )
    scanned = scan_code(code)
    kept = []
    end = 0
    for found in definition.finditer(scanned.code):
        if found.start() < end or scanned.depths[found.start()] > 0:
            continue
        kept.append(code[end : found.start()])
        depths = scanned.depths
        if found["body"]:
            end = _end_of_body(scanned.code, depths, found.start())
        else:
            end = _end_of_statement(scanned.code, depths, found.end())
    kept.append(code[end:])
    return "".join(kept)


def _end_of_body(code: str, depths: tuple[int, ...], start: int) -> int:
    """End of the first part in braces that is not within other brackets."""
    outer = [place for place in range(start, len(code)) if depths[place] == 0]
    opening = next((place for place in outer if code[place] == "{"), len(code))
    return next((place for place in outer if place > opening and code[place] == "}"), len(code) - 1) + 1


def _end_of_statement(code: str, depths: tuple[int, ...], start: int) -> int:
    """End of a statement: its semicolon, or a line end at which no operator continues it."""
    for place in range(start, len(code)):
        if depths[place] > 0:
            continue
        if code[place] == ";":
            return place + 1
        if code[place] == "\n":
            continued = _NEEDS_NEXT_LINE.search(code, start - 1, place) or _CONTINUES_LINE.match(
                code[place:].lstrip()
            )
            if not continued:
                return place
    return len(code)


def _with_candidate_module(code: str, entry_point: str) -> str:
    """Code that imports the candidate from the module that the sandbox offers."""
    scanned = scan_code(code).code

    def placed(match: re.Match[str]) -> str:
        name, quote = match["name"], match["quote"]
        is_code = scanned[match.start("quote")] == quote
        if not is_code or name.startswith((".", "/")) or name.removeprefix("node:") in _NODE_MODULES:
            return match[0]
        bound = match["bound"] or ""
        as_object = [f"{word}.{entry_point}" for word in re.findall(r"[\w$]+", bound)]
        if not _mentions(bound, entry_point) and not any(_mentions(scanned, use) for use in as_object):
            raise UnusableError(Rejection.FOREIGN_MODULE)
        return match[0].removesuffix(f"{quote}{name}{quote}") + f"{quote}{_CANDIDATE}{quote}"

    return _MODULE.sub(placed, code)


def _mentions(code: str, name: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", code) is not None


def _forgotten_imports(code: str) -> Iterator[str]:
    """Imports of names that a test uses and does not bind, in the style of its other imports."""

    def missing(name: str) -> bool:
        alone = rf"(?<![\w$.]){name}"
        declared = (
            rf"^[ \t]*(?:const|let|var|import|function)\b[^=;()]*?{alone}(?![\w$])|{alone}\s*=(?![=>])"
        )
        used = re.search(rf"{alone}\s*[.(]", code)
        return used is not None and re.search(declared, code, re.MULTILINE) is None

    is_module = re.search(r"^[ \t]*import\b", code, re.MULTILINE) is not None
    forgotten = [("assert", "node:assert")] if missing("assert") else []
    if names := ", ".join(filter(missing, _OF_NODE_TEST)):
        forgotten.append((f"{{ {names} }}", "node:test"))
    for bound, origin in forgotten:
        yield f"import {bound} from '{origin}';" if is_module else f"const {bound} = require('{origin}');"

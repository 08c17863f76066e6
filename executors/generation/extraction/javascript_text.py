"""Where in a JavaScript text there is code, and where strings, comments and regular expressions are."""

import re
from dataclasses import dataclass

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
_EXPRESSION = re.compile(r"/(?![*/])(?:\\[^\n]|\[(?:\\[^\n]|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*")
_TEMPLATE_PIECE = re.compile(r"(?:\\(?:.|\Z)|\$(?!\{)|[^\\`$])*(`|\$\{|\Z)", re.DOTALL)
# After these a slash begins a regular expression; after all else it divides.
_BEFORE_EXPRESSION = re.compile(
    r"(?:^|[(,=:\[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|throw))\s*\Z"
)
_LOOKED_BACK = 64


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a look at every character has found.

    Attributes:
        code: the text, with blanks in place of comments and of what is within strings, templates and
            regular expressions; as long as the text, with line ends where they were.
        comments: where comments begin and end.
        depths: how many brackets are open before each character of it.
        open_at: for the end of each line: the brackets open there, outermost first; a backquote stands for
            a template. Ends at the first bracket that closes nothing.
        sound: every bracket, string and template is closed.
    """

    code: str
    comments: tuple[tuple[int, int], ...]
    depths: tuple[int, ...]
    open_at: dict[int, str]
    sound: bool


def scan(text: str) -> Scanned:
    """Look at a text once, from the beginning to the end."""
    return _Scan(text).run()


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._code: list[str] = []
        self._comments: list[tuple[int, int]] = []
        self._depths: list[int] = []
        self._open: list[str] = []
        self._open_at: dict[int, str] = {}
        self._sound = True

    def run(self) -> Scanned:
        place = 0
        while place < len(self._text) and self._sound:
            place = self._step(place)
        rest = self._text[len(self._code) :]
        self._put(rest, kept=False)
        return Scanned(
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
        """From a backquote, or from the end of a part in braces, to the next part or to the end."""
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

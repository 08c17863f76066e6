"""Text of a block of code without what its way through a web page or a notebook added."""

import html
import re
from collections.abc import Callable, Iterator, Sequence

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u3000": " ", "\u200b": None, "\u2060": None})
_ESCAPED = re.compile(r"&(?:lt|gt);")
_NOTEBOOK_LINE = re.compile(r"^[ \t]*[!%].*\n?", re.MULTILINE)
_PROMPT = re.compile(r"^(?:>>>|\.\.\.) ?")
_NUMBERED = re.compile(r"^ *\d+[ \t]*[|:.)][ \t]?")
_TRAILING_TAG = re.compile(r"(?:\s*(?:</\w+>|\[/\w+\]|`+))+\s*\Z")


def unescaped(text: str) -> str:
    """Text with ``<`` for ``&lt;`` if it has no ``<`` and ``>`` of its own.

    ``a &gt; b`` is a program, so that it parses says nothing.
    """
    if _ESCAPED.search(text) and "<" not in text and ">" not in text:
        return html.unescape(text)
    return text


def mended_text(text: str) -> Iterator[str]:
    """Texts that a block may have been before it was changed on its way, likeliest first.

    Each mending is tried alone, then all in turn: blanks that no keyboard has, escapes of HTML, a closing
    tag, commands of a notebook, prompts of an interpreter, numbers of lines, curly quotes.

    Args:
        text: a block that does not parse.
    """
    for mend in _MENDINGS:
        changed = mend(text)
        if changed != text:
            yield changed
    for mend in _MENDINGS:
        text = mend(text)
    yield text


def _without_prompts(text: str) -> str:
    lines = text.strip("\n").split("\n")
    if not lines[0].startswith(">>>"):
        return text
    return "\n".join(_PROMPT.sub("", line) for line in lines if _PROMPT.match(line))


def _without_line_numbers(text: str) -> str:
    lines = text.split("\n")
    if not all(_NUMBERED.match(line) for line in lines if line.strip()):
        return text
    return "\n".join(_NUMBERED.sub("", line) for line in lines)


_MENDINGS: Sequence[Callable[[str], str]] = (
    lambda text: text.translate(_BLANKS),
    html.unescape,
    lambda text: _TRAILING_TAG.sub("", text),
    lambda text: _NOTEBOOK_LINE.sub("", text),
    _without_prompts,
    _without_line_numbers,
    lambda text: text.translate(_QUOTES),
)

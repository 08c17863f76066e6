"""Blocks of code in a model's answer: between fences, between tags, or between lines of prose.

Models fence code in many ways: with three or more backquotes or tildes, below the item of a list, behind a
few words, on one line, inside ``<answer>`` or ``[PYTHON]`` tags. A fence may also stand in the code itself,
in a string or a docstring. So a block ends at the first closing fence after which its code parses, and at
the first closing fence of all where it never does.
"""

import re
import textwrap
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import NamedTuple

from testbudget.executors.generation.extraction.mended_text import mended_text, unescaped

_FENCE = r"(?P<fence>`{3,}|~{3,})"
_TAG = r"(?P<tag>[\w+#.-]*)"
_WRAPPER = r"<(?:answer|code|solution|python|program)>|\[(?:PYTHON|CODE|ANSWER)\]"
_BEFORE = rf"[ \t>]*(?:[-*+][ \t]+|\d+[.)][ \t]+)?(?:{_WRAPPER})?[ \t]*"
_OPENING = re.compile(rf"^{_BEFORE}{_FENCE}[ \t]*{_TAG}(?:[ \t][^`\n]*|\{{[^`\n]*)?$", re.IGNORECASE)
_OPENING_IN_PROSE = re.compile(rf"^[^`]*[ \t:]{_FENCE}(?P<tag>\w+)[ \t]*$")
_ONE_LINE = re.compile(rf"^{_BEFORE}{_FENCE}{_TAG}[ \t]*(?P<code>[^\s`].*?)(?P=fence)", re.IGNORECASE)
_CLOSING = re.compile(rf"^(?P<code>.*?){_FENCE}[ \t]*(?:</\w+>|\[/\w+\])?[ \t]*$")
_WRAPPED = re.compile(
    r"(?<![\w`'\"])(?:<(?P<angle>answer|code|solution|python|program)(?:\s[^<>\n]*)?>"
    r"|\[(?P<square>PYTHON|CODE|ANSWER)\])[ \t]*\n?"
    r"(?P<code>.*?)(?:</(?P=angle)>|\[/(?P=square)\]|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_THINKING = r"(?:think|thinking|thought|reasoning|scratchpad)"
_THOUGHT = re.compile(rf"\A.*</{_THINKING}>", re.DOTALL | re.IGNORECASE)
_STILL_THINKING = re.compile(rf"\A\s*<{_THINKING}>.*", re.DOTALL | re.IGNORECASE)
_END_OF_TEXT = re.compile(
    r"(?:<\|(?:endoftext|im_end|im_start|eot_id|eom_id|end|end_of_text|file_separator|EOT)\|>"
    r"|<\uff5cend\u2581of\u2581sentence\uff5c>|<(?:end_of_turn|file_sep|EOT)>|</s>).*\Z",
    re.DOTALL,
)
_BYTE_ORDER_MARK = "\ufeff"
_QUOTED_FENCE = re.compile(r"^> ?[ \t]*(?:```|~~~)", re.MULTILINE)
_QUOTE_MARK = re.compile(r"^> ?", re.MULTILINE)
_MAX_CLOSINGS = 16  # closing fences that are tried for one block


class CodeBlock(NamedTuple):
    """Block of code in an answer.

    Attributes:
        code: its text, without the indentation that all lines share.
        tag: language tag of its fence in lower case; empty if it has none.
        parses: True if its code parses.
    """

    code: str
    tag: str
    parses: bool


def answer_text(text: str) -> str:
    """Text of an answer without reasoning, marks of quotation, end marks of the model and odd line ends.

    Reasoning ends with ``</think>`` or a tag like it. Where it never ends the answer is empty.
    """
    text = without_end_mark(_STILL_THINKING.sub("", _THOUGHT.sub("", text)))
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace(_BYTE_ORDER_MARK, "")
    return _QUOTE_MARK.sub("", text) if _QUOTED_FENCE.search(text) else text


def without_end_mark(text: str) -> str:
    """Text before the first end mark of a model (``<|endoftext|>`` or a mark like it), or all of it."""
    return _END_OF_TEXT.sub("", text)


def code_blocks(text: str, tags: Collection[str], parses: Callable[[str], bool]) -> list[CodeBlock]:
    """Blocks of code in the order of the answer; empty if it has neither fences nor tags.

    What stands between tags without a fence comes after the blocks between fences. A block that does not
    parse is mended where ``mended_text`` can do that. Code within a line of prose counts where there is no
    other block.

    Args:
        text: the answer, as ``answer_text`` returns it.
        tags: language tags of blocks to return, in lower case; an empty tag stands for a fence without one.
        parses: function that returns whether a text is a program of the language.
    """
    lines = text.split("\n")
    blocks = list(_fenced(lines, tags, parses))
    wrapped = (_dedented(found["code"].split("\n")) for found in _WRAPPED.finditer(text))
    blocks += [
        CodeBlock(code, "", parses(code))
        for code in wrapped
        if code.strip()
        and not any(_OPENING.match(line) or _ONE_LINE.match(line) for line in code.split("\n"))
        and not any(code in block.code for block in blocks)
    ]
    if not blocks and not any(_OPENING.match(line) for line in lines):
        inline = (found.strip() for found in _INLINE.findall(text))
        blocks = [CodeBlock(code, "", True) for code in inline if code and " " in code and parses(code)]
    return [_mended(block, parses) for block in blocks]


def _mended(block: CodeBlock, parses: Callable[[str], bool]) -> CodeBlock:
    if (code := unescaped(block.code)) != block.code:
        block = CodeBlock(code, block.tag, parses(code))
    if block.parses:
        return block
    mended = next(filter(parses, mended_text(block.code)), None)
    return block if mended is None else CodeBlock(mended, block.tag, True)


def _fenced(lines: list[str], tags: Collection[str], parses: Callable[[str], bool]) -> Iterator[CodeBlock]:
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if found := _ONE_LINE.match(line):
            if found["tag"].lower() in tags:
                yield CodeBlock(found["code"].strip(), found["tag"].lower(), parses(found["code"].strip()))
            continue
        opening = _OPENING.match(line) or _OPENING_IN_PROSE.match(line)
        if opening is None:
            continue
        tag = opening["tag"].lower()
        known = tag in tags
        ends = list(islice(_ends(lines, number, opening["fence"]), _MAX_CLOSINGS if known else 1))
        ends = ends or [(len(lines), len(lines), "")]
        codes = [_dedented([*lines[number:end], *([rest] if rest else [])]) for end, _, rest in ends]
        chosen = next((place for place, code in enumerate(codes) if known and parses(code)), 0)
        if known:
            yield CodeBlock(codes[chosen], tag, parses(codes[chosen]))
        number = ends[chosen][1]


def _ends(lines: list[str], start: int, fence: str) -> Iterator[tuple[int, int, str]]:
    """Possible ends of a block: line of a closing fence, the line after it, and code before the fence."""
    for number in range(start, len(lines)):
        closing = _CLOSING.match(lines[number])
        if closing and closing["fence"].startswith(fence):
            yield number, number + 1, closing["code"] if closing["code"].strip(" \t>") else ""
    if any(line.strip() for line in lines[start:]):
        yield len(lines), len(lines), ""


def _dedented(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines)).strip("\n")

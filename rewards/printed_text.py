"""Texts that programs print: normal forms, tokens, and comparison with an expected text.

Blanks are the ASCII ones. Texts may have many megabytes and may have been printed to harm. Time is linear
in their lengths, except for sorting lines. A comparison ends with the first difference, and lists lines
only if a text has as many of them as the expected one.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from testbudget.rewards.comparison import Comparison, TextComparison
from testbudget.rewards.near_numbers import Part, linked_groups, parse_part, parts_agree

_BLANKS = " \t\r\f\v"
_SPACE = f"{_BLANKS}\n"
_AT_LINE_END = re.compile(r"(?<![ \t\r\f\v])[ \t\r\f\v]+(?=\n)")  # from the first blank on: linear
_BETWEEN = re.compile(r"[ \t\r\n\f\v]+")
_TOKEN = re.compile(r"[^ \t\r\n\f\v]+")
_TOKEN_OR_LINE_END = re.compile(r"[^ \t\r\n\f\v]+|\n")
_PARTS = {
    TextComparison.EXACT: re.compile(r"[^ \t\r\n\f\v]+|[ \t\r\n\f\v]+"),
    TextComparison.TOKENS: _TOKEN,
}
_LINE = re.compile(r"[^\n]*(?:\n|\Z)")
_MAX_SORTED = 1 << 20  # lines that are sorted to make a normal form


def normal_text(comparison: Comparison, text: str) -> str:
    """Normal form of a printed text. Tolerances and the checker aside, equal texts have equal forms."""
    match comparison.text:
        case TextComparison.EXACT:
            return text
        case TextComparison.TOKENS:
            return _BETWEEN.sub(" ", text.strip(_SPACE))
        case TextComparison.UNORDERED_LINES:
            lines = _without_blanks_at_ends(text)
            return lines if lines.count("\n") > _MAX_SORTED else "\n".join(sorted(lines.split("\n")))
    return _without_blanks_at_ends(text)


def texts_agree(comparison: Comparison, expected: str, given: str) -> bool:
    """Return whether a printed text is the expected one; the checker of the comparison is not asked."""
    if expected == given:
        return True
    if comparison.text is not TextComparison.EXACT:
        expected, given = expected.rstrip(_SPACE), given.rstrip(_SPACE)
    if comparison.text is TextComparison.UNORDERED_LINES:
        return _agree_in_any_order(comparison, expected, given)
    if comparison.has_tolerance:
        start = _common_length(expected, given)
        start = max(expected.rfind(space, 0, start) for space in _SPACE) + 1  # not within a number
        parts = [text_parts(comparison, text[start:]) for text in (expected, given)]
        return parts_agree(comparison, *parts)
    if comparison.text is TextComparison.TOKENS:
        return _are_equal(_tokens(expected), _tokens(given))
    if _is_compared_as_it_is(comparison, expected, given):
        return expected == given
    return _are_equal(_lines(expected), _lines(given))


def first_difference(comparison: Comparison, expected: str, given: str) -> tuple[str, int, str, str] | None:
    """Unit, number from 1, and both sides of the first line or token in which two texts differ.

    None if no single one of them tells the difference, as with lines in any order.
    """
    if comparison.text is TextComparison.UNORDERED_LINES:
        return None
    if comparison.text is not TextComparison.EXACT:
        expected, given = expected.rstrip(_SPACE), given.rstrip(_SPACE)
    if _is_compared_as_it_is(comparison, expected, given):
        start = _common_length(expected, given)
        longer = max(expected, given, key=len)
        if comparison.text is TextComparison.LINES and start == min(len(expected), len(given)):
            start += longer[start] == "\n"  # the other one lacks the next line
        begin = longer.rfind("\n", 0, start) + 1
        sides = [found.group() if (found := _LINE.match(text, begin)) else "" for text in (expected, given)]
        if comparison.text is TextComparison.LINES:
            sides = [side.removesuffix("\n") for side in sides]
        return "line", longer.count("\n", 0, start) + 1, sides[0], sides[1]
    unit, parts = ("token", _tokens) if comparison.text is TextComparison.TOKENS else ("line", _lines)
    for number, (left, right) in enumerate(itertools.zip_longest(parts(expected), parts(given)), 1):
        if left != right and not (
            comparison.has_tolerance
            and left is not None
            and right is not None
            and parts_agree(comparison, text_parts(comparison, left), text_parts(comparison, right))
        ):
            return unit, number, left or "", right or ""
    return None


def text_parts(comparison: Comparison, text: str) -> Iterator[Part]:
    """Parts of a normal form: numbers, and the texts around them.

    Line ends are parts unless tokens are compared; blanks are parts in an exact comparison.
    """
    pattern = _PARTS.get(comparison.text, _TOKEN_OR_LINE_END)
    for token in pattern.finditer(text):
        yield parse_part(token.group())


def _without_blanks_at_ends(text: str) -> str:
    text = text.rstrip(_SPACE)
    return _AT_LINE_END.sub("", text) if _has_blanks_at_ends(text) else text


def _has_blanks_at_ends(text: str) -> bool:
    """Return whether a text has blanks at the end of a line but the last one."""
    return any(f"{blank}\n" in text for blank in _BLANKS)


def _is_compared_as_it_is(comparison: Comparison, expected: str, given: str) -> bool:
    """Return whether two texts without blanks at their ends are compared character by character."""
    if comparison.text is TextComparison.LINES:
        return not (comparison.has_tolerance or _has_blanks_at_ends(expected) or _has_blanks_at_ends(given))
    return comparison.text is TextComparison.EXACT


def _lines(text: str) -> Iterator[str]:
    """Lines of a text without the blanks at their ends."""
    return (line.group().rstrip(_SPACE) for line in _LINE.finditer(text))


def _tokens(text: str) -> Iterator[str]:
    return (token.group() for token in _TOKEN.finditer(text))


def _are_equal(expected: Iterator[str], given: Iterator[str]) -> bool:
    return all(left == right for left, right in itertools.zip_longest(expected, given))


def _common_length(first: str, second: str) -> int:
    """Number of characters with which both texts begin."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _agree_in_any_order(comparison: Comparison, expected: str, given: str) -> bool:
    if expected.count("\n") != given.count("\n"):
        return False
    first, second = (sorted(_lines(text)) for text in (expected, given))
    return first == second or (comparison.has_tolerance and _near_in_any_order(comparison, first, second))


def _near_in_any_order(comparison: Comparison, expected: Sequence[str], given: Sequence[str]) -> bool:
    """Return whether as many lines can be paired off so that each pair is near.

    Equal lines are paired first, then lines of one group, in the order of their numbers.
    """
    counted, others = Counter(expected), Counter(given)
    sides = [[*(counted - others).elements()], [*(others - counted).elements()]]
    parts = [[*text_parts(comparison, line)] for side in sides for line in side]
    keys = linked_groups(comparison, parts)
    order = sorted(range(len(parts)), key=lambda at: (str(keys[at]), _numbers(parts[at])))
    first = [parts[at] for at in order if at < len(sides[0])]
    second = [parts[at] for at in order if at >= len(sides[0])]
    return len(first) == len(second) and all(
        parts_agree(comparison, left, right) for left, right in zip(first, second, strict=True)
    )


def _numbers(parts: Sequence[Part]) -> list[float]:
    return [part for part in parts if not isinstance(part, str)]

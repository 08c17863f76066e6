"""Python text with errors of syntax: the parts that parse.

An answer may be cut off in the middle, hold a method that does not parse, or be code between lines of
prose. An error costs the rest of the function that it stands in, and a line of prose costs itself.
"""

import ast
import re
import warnings

from testbudget.executors.generation.extraction.python_statements import PARSER_ERRORS

_HEADER = re.compile(r"[ \t]*(?:async[ \t]+)?def\b")
_BLOCK_MISSING_AFTER = re.compile(r"expected an indented block after .* on line (\d+)")
_MAX_REPAIRS = 200


def parsed_parts(text: str) -> ast.Module:
    """Parse a text without the parts that do not parse; the module is empty if nothing does."""
    lines = text.expandtabs(8).split("\n") if "\t" in text else text.split("\n")
    for _ in range(_MAX_REPAIRS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in strings
                return ast.parse("\n".join(lines))
        except SyntaxError as error:
            missing = _BLOCK_MISSING_AFTER.match(error.msg or "")
            failed_at = int(missing[1]) if missing else (error.lineno or len(lines))
            start, end = _part_to_remove(lines, min(max(failed_at, 1), len(lines)) - 1)
            del lines[start:end]
        except PARSER_ERRORS:
            break
    return ast.Module(body=[], type_ignores=[])


def _part_to_remove(lines: list[str], place: int) -> tuple[int, int]:
    """First line, and the one after the last, of what an error at a line costs."""
    depth = _depth(lines[place])
    if depth > 0 and not _HEADER.match(lines[place]):
        above = range(place - 1, -1, -1)
        headers = (number for number in above if lines[number].strip() and _depth(lines[number]) < depth)
        for number in headers:
            depth = _depth(lines[number])
            if _HEADER.match(lines[number]):
                return place, _block_end(lines, number)
    return _first_decorator(lines, place), _block_end(lines, place)


def _block_end(lines: list[str], start: int) -> int:
    """Line after the last that is indented deeper than a line."""
    depth = _depth(lines[start])
    deeper = (n for n in range(start + 1, len(lines)) if lines[n].strip() and _depth(lines[n]) <= depth)
    return next(deeper, len(lines))


def _first_decorator(lines: list[str], header: int) -> int:
    while header > 0 and lines[header - 1].lstrip().startswith("@"):
        header -= 1
    return header


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())

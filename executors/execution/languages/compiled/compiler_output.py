"""First error in the output of a compiler, as the reason of a program that does not compile."""

import re

from testbudget.rewards.verdict_reason import DetailName, VerdictReason

_SENTENCE = "The candidate does not compile."
_COLORS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PLACE = re.compile(r"^(?:\S*/)?[\w.<>$-]+:(?P<line>\d+)(?::\d+)?:\s*(?P<message>.+)")
_PLACE_ALONE = re.compile(r"^[\w.<>$-]+:(?P<line>\d+):\d+:$")
_MARK = re.compile(r"^\W*\[ERROR\]\s*")
_ERROR = re.compile(r"\b(?:error|panic)\b", re.IGNORECASE)
_DIRECTORY = re.compile(r"(?<![\w.])(?:/[\w.+-]+)+/(?=[\w.<>$+-]+)")  # of an absolute path


def not_compiled_reason(output: str) -> VerdictReason:
    """Reason of a program that a compiler refuses: the first line about an error, and where that is.

    Directories are left out: they are those of the sandbox and of the compiler.

    Args:
        output: what the compiler has printed; it may hold anything of the program's text.
    """
    lines = [_DIRECTORY.sub("", _COLORS.sub("", line)).strip() for line in output.splitlines()]
    lines = [line for line in lines if line]
    placed = [(line, _PLACE.match(line)) for line in lines]
    found = next((place for line, place in placed if place and _ERROR.search(line)), None)
    if found is None and not any(_ERROR.search(line) for line in lines):
        found = next((place for _, place in placed if place), None)  # a compiler that does not say "error"
    if found is not None:
        return not_compiled(found["message"], found["line"])
    message = next(filter(_ERROR.search, lines), next(iter(lines), ""))
    alone = next(filter(None, map(_PLACE_ALONE.match, lines)), None)
    return not_compiled(_MARK.sub("", message), alone and alone["line"])


def not_compiled(message: str, line: str | None = None) -> VerdictReason:
    """Reason of a program that does not compile.

    Args:
        message: the compiler's first line; empty if it printed none.
        line: line of the program that it names.
    """
    detail = {DetailName.MESSAGE: message} if message else {}
    if line is not None:
        detail[DetailName.LINE] = line
    return VerdictReason(_SENTENCE, detail)

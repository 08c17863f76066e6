"""Comparison of expected and given outputs: texts that programs print, numbers that functions return."""

import ast
import json
import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

from testbudget.rewards.errors import UserError

_ROUNDING = 2.0**-50  # relative error of a difference of two decimal numbers read as floats


class TextComparison(StrEnum):
    """Comparison of two texts that programs have printed.

    Attributes:
        LINES: blanks at the ends of lines and line ends at the end of the text are ignored.
        EXACT: nothing is ignored.
        TOKENS: the words between blanks and line ends are compared.
        UNORDERED_LINES: as ``LINES``, in any order of the lines.
    """

    LINES = "lines"
    EXACT = "exact"
    TOKENS = "tokens"
    UNORDERED_LINES = "unordered_lines"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of expected and given outputs of a problem.

    Two numbers are equal if they differ by at most ``max(absolute, relative * abs(expected))``.

    Attributes:
        text: comparison of printed texts.
        absolute, relative: tolerances of numbers, in printed texts and in what functions return; both 0
            for none.
        checker: Python program that defines ``checker(input, expected, actual)``, which returns True if the
            output is right. It replaces the comparison of printed texts, and runs in the sandbox.

    Raises:
        UserError: a tolerance is negative or not finite, or the checker does not define ``checker``.
    """

    text: TextComparison = TextComparison.LINES
    absolute: float = 0.0
    relative: float = 0.0
    checker: str | None = None

    def __post_init__(self) -> None:
        for name in ("absolute", "relative"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise UserError(f"comparison.{name} must be at least 0 and finite but got {value!r}")
        if self.checker is not None:
            _check_checker(self.checker)

    @property
    def has_tolerance(self) -> bool:
        """True if numbers may differ."""
        return self.absolute > 0 or self.relative > 0

    def numbers_agree(self, expected: float, given: float) -> bool:
        """Return whether two finite numbers differ by at most the tolerance, and the rounding of floats."""
        if expected == given:
            return True
        allowed = max(self.absolute, self.relative * abs(expected))
        if isinstance(expected, float) or isinstance(given, float):
            allowed += _ROUNDING * max(abs(expected), abs(given))
        return self.has_tolerance and abs(expected - given) <= allowed

    def as_text(self) -> str:
        """JSON text that ``from_text`` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Comparison of a text by ``as_text``."""
        fields = json.loads(text)
        return cls(**{**fields, "text": TextComparison(fields["text"])})


def _check_checker(text: str) -> None:
    """Check that a checker is a program that binds ``checker`` at its top level, with three parameters."""
    try:
        names = compile(text, "<checker>", "exec", dont_inherit=True).co_names
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"comparison.checker must be a Python program but found: {error}") from None
    if "checker" not in names:
        raise UserError("comparison.checker must define checker(input, expected, actual) but it does not")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == "checker" and not _takes_three(node.args):
            found = ast.unparse(node.args)
            raise UserError(
                "comparison.checker must define checker(input, expected, actual) but defines "
                f"checker({found})"
            )


def _takes_three(parameters: ast.arguments) -> bool:
    """Return whether a function can be called with three positional arguments."""
    named = len(parameters.posonlyargs) + len(parameters.args)
    needed = named - len(parameters.defaults)
    keywords_needed = None in parameters.kw_defaults
    return needed <= 3 and (named >= 3 or parameters.vararg is not None) and not keywords_needed


DEFAULT_COMPARISON = Comparison()
"""Comparison as most judges do it."""

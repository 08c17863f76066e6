"""Test of a program that reads standard input: an input, and what is to be printed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class StdinCase:
    """Input of a program and its expected output.

    Attributes:
        stdin: text on standard input.
        expected_stdout: text that a correct program prints; None for an input alone, which no candidate
            passes or fails.
    """

    stdin: str
    expected_stdout: str | None = None

    def as_text(self) -> str:
        """JSON text, the code of a test of kind ``STDIN``."""
        fields = {"stdin": self.stdin, "expected_stdout": self.expected_stdout}
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Case in the code of a test of kind ``STDIN``.

        Raises:
            ValueError: the text is none of ``as_text``.
        """
        match _parsed(text):
            case {"stdin": str(stdin), "expected_stdout": str() | None as expected}:
                return cls(stdin, expected)
        raise ValueError("must be a JSON object with stdin and expected_stdout")


def stdin_cases(text: str) -> tuple[StdinCase, ...]:
    """Cases in the code of a test of kind ``STDIN``: a text by ``as_text``, or by ``cases_as_text``.

    Raises:
        ValueError: the text is none of these.
    """
    found = _parsed(text)
    if isinstance(found, list) and found:
        return tuple(StdinCase.from_text(json.dumps(case)) for case in found)
    return (StdinCase.from_text(text),)


def cases_as_text(cases: Sequence[StdinCase]) -> str:
    """Code of a test of kind ``STDIN`` that a candidate passes if it passes every case; at least one."""
    if len(cases) == 1:
        return cases[0].as_text()
    return f"[{', '.join(case.as_text() for case in cases)}]"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None

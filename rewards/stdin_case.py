"""Test of a program that reads standard input: an input, and what is to be printed."""

import json
from dataclasses import dataclass
from typing import Self


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
        match json.loads(text):
            case {"stdin": str(stdin), "expected_stdout": str() | None as expected}:
                return cls(stdin, expected)
        raise ValueError("must be a JSON object with stdin and expected_stdout")

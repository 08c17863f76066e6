"""Unit test in a model's answer, or the reason to reject it; the same for all languages."""

from dataclasses import dataclass
from enum import StrEnum

from testbudget.rewards.problem import TestKind


class Rejection(StrEnum):
    """Reason why an answer holds no usable unit test."""

    NO_CODE = "no code"
    DOES_NOT_PARSE = "does not parse"
    NO_TEST = "no test"
    NO_TEST_CALL = "no call of test or it"
    NO_ASSERTION = "asserts nothing"
    ENTRY_POINT_UNUSED = "never uses the entry point"
    NO_INPUT_AND_OUTPUT = "no input with its output"
    NO_INPUT = "no input"
    CONTRADICTION = "one input with two outputs"
    FOREIGN_MODULE = "needs a module that is not there"


@dataclass(frozen=True, slots=True)
class ExtractedTest:
    """Result of an extraction; exactly one of ``code`` and ``rejection`` is set.

    Attributes:
        code: test program, without the candidate.
        rejection: reason why there is no test.
        kind: form of the test.
    """

    code: str | None
    rejection: Rejection | None
    kind: TestKind = TestKind.UNITTEST


class UnusableError(Exception):
    """Answer without a usable unit test.

    Args:
        rejection: reason why there is none.

    Attributes:
        rejection: reason why there is none.
    """

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection)
        self.rejection = rejection

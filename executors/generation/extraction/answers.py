"""Fenced code blocks in a model's answer, and reasons to reject it; the same for all languages."""

import re
import textwrap
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from testbudget.rewards.problem import TestKind

_FENCE = re.compile(r"^ {0,3}(?:```+|~~~+)[ \t]*([\w+#-]*)[^\n]*$", re.MULTILINE)


class Rejection(StrEnum):
    """Reason why an answer holds no usable unit test."""

    NO_CODE = "no code"
    DOES_NOT_PARSE = "does not parse"
    NO_TEST = "no test"
    NO_TEST_CALL = "no call of test or it"
    NO_ASSERTION = "asserts nothing"
    ENTRY_POINT_UNUSED = "never uses the entry point"
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


def without_reasoning(text: str) -> str:
    """Text of an answer without the reasoning that ends with ``</think>``."""
    return text.rpartition("</think>")[2]


def fenced_blocks(text: str, tags: Collection[str]) -> list[str]:
    """Code of the fenced blocks with one of these language tags, in the order of the answer.

    The last block may lack its closing fence.
    """
    text = without_reasoning(text)
    fences = list(_FENCE.finditer(text))
    blocks = []
    for opening, closing in zip(fences[::2], [*fences[1::2], None], strict=False):
        if opening[1].lower() in tags:
            block = text[opening.end() + 1 : closing.start() if closing else len(text)]
            blocks.append(textwrap.dedent(block))
    return blocks

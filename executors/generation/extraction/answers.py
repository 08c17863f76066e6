"""A model's answer before anything is known of its language: fenced blocks and words around them."""

import re
import textwrap
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

_FENCE = re.compile(r"^ {0,3}(?:```+|~~~+)[ \t]*([\w+#-]*)[^\n]*$", re.MULTILINE)


class Rejection(StrEnum):
    """Why an answer holds no unit test that can be used."""

    NO_CODE = "no code"
    DOES_NOT_PARSE = "does not parse"
    NO_TEST_CLASS = "no unittest.TestCase class"
    NO_TEST_METHOD = "no test method"
    NO_TEST_CALL = "no call of test or it"
    NO_ASSERTION = "asserts nothing"
    ENTRY_POINT_UNUSED = "never uses the entry point"
    FOREIGN_MODULE = "needs a module that is not there"


@dataclass(frozen=True, slots=True)
class ExtractedTest:
    """What was found in an answer: exactly one of the two is set.

    Attributes:
        code: the test program, to be run where a candidate is defined.
        rejection: why there is none.
    """

    code: str | None
    rejection: Rejection | None


class UnusableError(Exception):
    """An answer holds no unit test that can be used."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection)
        self.rejection = rejection


def without_reasoning(text: str) -> str:
    """An answer without what a model has thought aloud before it."""
    return text.rpartition("</think>")[2]


def fenced_blocks(text: str, tags: Collection[str]) -> list[str]:
    """The fenced blocks with one of these language tags; the last may lack its closing fence."""
    text = without_reasoning(text)
    fences = list(_FENCE.finditer(text))
    blocks = []
    for opening, closing in zip(fences[::2], [*fences[1::2], None], strict=False):
        if opening[1].lower() in tags:
            block = text[opening.end() + 1 : closing.start() if closing else len(text)]
            blocks.append(textwrap.dedent(block))
    return blocks

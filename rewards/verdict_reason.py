"""Reason of a verdict: one sentence for people, and the facts that it was made from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from testbudget.rewards.problem import NOT_RUN, Verdict

MAX_DETAIL = 500
"""Maximum number of characters of a detail."""

_ADDRESS = re.compile(r"\bat 0x[0-9a-f]+")  # in the repr of an object, another one in each process


class DetailName(StrEnum):
    """Name of a detail of a reason.

    Attributes:
        EXCEPTION: class of the exception that ended the test.
        MESSAGE: its text.
        LINE: line, from 1, of the test at which it ended, or of a program that failed or does not compile.
        EXPECTED, GIVEN: second and first operand of the comparison that did not hold.
        LIMIT: the limit that was reached, with its unit.
        MODULE: module that could not be imported.
    """

    EXCEPTION = "exception"
    MESSAGE = "message"
    LINE = "line"
    EXPECTED = "expected"
    GIVEN = "given"
    LIMIT = "limit"
    MODULE = "module"


@dataclass(frozen=True, slots=True)
class VerdictReason:
    """Why a pair has its verdict, why it was not run, or why its pass is not confirmed.

    Attributes:
        sentence: one sentence.
        detail: what is known beyond it, each at most `MAX_DETAIL` characters.
    """

    sentence: str
    detail: Mapping[DetailName, str] = field(default_factory=dict)

    @classmethod
    def from_message(cls, message: Any) -> Self | None:
        """Read the part of a step message that ``as_message`` wrote; None if it is none.

        The message may come from a process that ran a candidate, so it may be anything. Addresses of
        objects are left out, so that equal runs have equal reasons.
        """
        match message:
            case [str(sentence), dict(detail)]:
                names = {str(name): name for name in DetailName}
                known = {
                    names[name]: _ADDRESS.sub("at 0x...", text[:MAX_DETAIL])
                    for name, text in detail.items()
                    if name in names and isinstance(text, str)
                }
                return cls(_ADDRESS.sub("at 0x...", sentence[:MAX_DETAIL]), known)
        return None

    def as_message(self) -> list[Any]:
        """Part of a step message that ``from_message`` reads; texts are cut to `MAX_DETAIL` characters."""
        detail = {str(name): text[:MAX_DETAIL] for name, text in self.detail.items()}
        return [self.sentence[:MAX_DETAIL], detail]


GENERAL_SENTENCES: Mapping[int, str] = MappingProxyType(
    {
        Verdict.PASSED: "Every assertion of the test holds.",
        Verdict.FAILED: "An assertion of the test does not hold.",
        Verdict.ERRORED: "The test ended with an error.",
        Verdict.TIMED_OUT: "The test reached its time limit.",
        Verdict.OUT_OF_MEMORY: "The test reached its memory limit.",
        Verdict.KILLED: "The process ended before the test did.",
        Verdict.UNCONFIRMED: "The candidate could have forged the pass.",
        Verdict.COMPILE_ERROR: "The candidate does not compile.",
        NOT_RUN: "The pair was not run.",
    }
)
"""Sentence for each verdict, and for a pair that was not run, where nothing else is known."""

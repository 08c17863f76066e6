"""Verdict and reason of a program that failed, read from what its run-time prints to standard error."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from testbudget.executors.execution.languages.program_runs import ProgramEnd, program_failure
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import DetailName, VerdictReason


class FailurePattern(NamedTuple):
    """Text by which a run-time tells why a program ends.

    Attributes:
        text: regular expression; its groups ``exception`` and ``message`` are details of the reason.
        verdict: verdict on the program.
        asserts: True if an assertion of the program did not hold.
    """

    text: re.Pattern[str]
    verdict: Verdict = Verdict.ERRORED
    asserts: bool = False


LIBC_ASSERTION = FailurePattern(re.compile(r"Assertion [`'](?P<message>.*)' failed"), asserts=True)
"""Pattern of ``assert`` of the C library."""


def failure_of(end: ProgramEnd, patterns: Sequence[FailurePattern]) -> tuple[Verdict, VerdictReason]:
    """Verdict and reason of a program that failed.

    Args:
        end: end of the program.
        patterns: texts of the run-time; the first one that is found counts.
    """
    verdict, reason = program_failure(end)
    for pattern in patterns:
        if found := pattern.text.search(end.errors):
            named = found.groupdict()
            detail = {
                name: named[name].strip()
                for name in (DetailName.EXCEPTION, DetailName.MESSAGE)
                if (named.get(name) or "").strip()
            }
            sentence = reason.sentence
            if pattern.verdict is Verdict.OUT_OF_MEMORY:
                sentence = "The program ran out of memory."
            elif exception := detail.get(DetailName.EXCEPTION):
                sentence = f"The program raised {exception}."
            return pattern.verdict, VerdictReason(sentence, detail)
    return verdict, reason


def has_failed_assertion(end: ProgramEnd, patterns: Sequence[FailurePattern]) -> bool:
    """Return whether a program ended because an assertion of it did not hold."""
    return any(pattern.asserts and pattern.text.search(end.errors) for pattern in patterns)

"""Programs that read standard input: samples with known verdicts, and verdicts on programs that fail."""

import signal
from typing import NamedTuple

from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

ERRORS_LENGTH = 4096
"""Bytes of a program's standard error that are read, at its beginning and its end."""


class ProgramSample(NamedTuple):
    """Programs that read standard input, with known verdicts.

    ``right`` is filled by ``str.format`` with a number.

    Attributes:
        right: reads an integer from standard input and prints twice the integer on a line.
        wrong: prints something else, at least for integers from 3 on.
        looping: never ends.
        broken: does not compile.
        failing: prints the right output and ends with an exit status other than 0, or by a signal.
    """

    right: str
    wrong: str
    looping: str
    broken: str
    failing: str


class ProgramEnd(NamedTuple):
    """End of a program that did not exit with status 0.

    Attributes:
        status: exit status; 0 if a signal ended it.
        signal: number of the signal that ended it; 0 if it exited.
        errors: `ERRORS_LENGTH` bytes of its standard error, decoded. It may have written anything.
    """

    status: int
    signal: int
    errors: str


def program_failure(end: ProgramEnd) -> tuple[Verdict, VerdictReason]:
    """Verdict and reason of a program that failed; the last line of its standard error is the message."""
    lines = end.errors.split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    detail = {DetailName.MESSAGE: last} if last else {}
    if end.signal:
        known = {*signal.Signals}
        name = signal.Signals(end.signal).name if end.signal in known else str(end.signal)
        return Verdict.KILLED, VerdictReason(f"The program was ended by signal {name}.", detail)
    return Verdict.ERRORED, VerdictReason(f"The program ended with exit status {end.status}.", detail)

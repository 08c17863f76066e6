"""Run of a checker in a process of its own, which has run no other program.

The checker's text is trusted, but it may not have been written against outputs that are made to pass it.
Three of these are told apart by their text, whatever the checker does: numbers that are neither greater nor
less than others, nothing at all, and programs. What passes by them is unconfirmed.
"""

import contextlib
import json
import math
import re
import traceback
from collections.abc import Sequence
from typing import Any

from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.python.judge_audit import judge_audit
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

CHECK = "check_output"
"""Name of the work by which a process runs a checker."""

_FUNCTION, _FILE = "checker", "<checker>"
_REJECTED = VerdictReason("The checker of the problem rejects the output.")
_RUNS_OUTPUT = VerdictReason(
    "The checker of the problem runs a text as a program, which may be the output."
)
_NOTHING = VerdictReason(
    "The checker of the problem accepts that nothing is printed where something is expected."
)
_NOT_FINITE = VerdictReason(
    "The checker of the problem accepts a number that is not finite, and does not say that it expects one."
)
_NAMES_OF_INFINITE = re.compile(r"(?<![a-z])(?:is_?)?(?:nan|inf|infinity|finite)(?![a-z])", re.IGNORECASE)


def check_output(buffer: ResultBuffer, text: str, arguments: Sequence[str], *, trusted: bool) -> None:
    """Run a checker in step 0, which leaves ``VERDICT`` with a verdict and a reason.

    Called in a process of its own, which has run no other program.

    Args:
        buffer: result buffer of this process.
        text: the checker.
        arguments: input, expected and given output; text that is none is replaced.
        trusted: True if the authors of the outputs are trusted.
    """
    buffer.begin(0)
    buffer.mark_loaded()
    plain = [_plain(argument) for argument in arguments]
    verdict, reason = _outcome(text, plain, trusted=trusted)
    if verdict is Verdict.PASSED and not trusted and (caveat := _caveat(text, *plain)) is not None:
        verdict, reason = Verdict.UNCONFIRMED, caveat
    message = [StepMessage.VERDICT, verdict, None if reason is None else reason.as_message()]
    buffer.append(0, json.dumps(message).encode())
    buffer.finish(0)


def _outcome(text: str, arguments: Sequence[str], *, trusted: bool) -> tuple[Verdict, VerdictReason | None]:
    names: dict[str, Any] = {"__name__": _FUNCTION}
    audit = judge_audit()
    try:
        exec(compile(text, _FILE, "exec", dont_inherit=True), names)
        with contextlib.nullcontext() if trusted else audit.watching(runs_constants=False):
            answer = names[_FUNCTION](*arguments)
    except BaseException as error:
        if audit.reason is None:
            return Verdict.ERRORED, _failure(error)
    if audit.reason is not None:
        return Verdict.UNCONFIRMED, _RUNS_OUTPUT
    if type(answer).__name__ in {"bool", "bool_"}:
        return (Verdict.PASSED, None) if answer else (Verdict.FAILED, _REJECTED)
    return Verdict.ERRORED, VerdictReason(
        f"The checker of the problem must return True or False but returned {type(answer).__name__}."
    )


def _caveat(text: str, stdin: str, expected: str, given: str) -> VerdictReason | None:
    """Reason why an output that the checker accepts is unconfirmed; None if there is none."""
    if expected.strip() and not given.strip():
        return _NOTHING
    if _NAMES_OF_INFINITE.search(text) is None:  # as words: info and finance are none
        known = {*stdin.split(), *expected.split()}
        if any(_is_infinite(word) and word not in known for word in given.replace(",", " ").split()):
            return _NOT_FINITE
    return None


def _is_infinite(word: str) -> bool:
    """Return whether a word reads as a number that is infinite or none."""
    try:
        return not math.isfinite(float(word.strip("()[]{};:\"'")))
    except ValueError:
        return False


def _failure(error: BaseException) -> VerdictReason:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE]
    name = type(error).__name__
    where = f" on line {lines[-1]}" if lines else ""
    detail = {DetailName.EXCEPTION: name, DetailName.MESSAGE: str(error)}
    return VerdictReason(f"The checker of the problem raised {name}{where}.", detail)


def _plain(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")

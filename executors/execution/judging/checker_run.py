"""Run of a checker in a process of its own, which has run no other program."""

import json
import traceback
from collections.abc import Sequence
from typing import Any

from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

CHECK = "check_output"
"""Name of the work by which a process runs a checker."""

_FUNCTION, _FILE = "checker", "<checker>"
_REJECTED = VerdictReason("The checker of the problem rejects the output.")


def check_output(buffer: ResultBuffer, text: str, arguments: Sequence[str]) -> None:
    """Run a checker in step 0, which leaves ``VERDICT`` with a verdict and a reason.

    Called in a process of its own, which has run no other program.

    Args:
        buffer: result buffer of this process.
        text: the checker.
        arguments: input, expected and given output; text that is none is replaced.
    """
    buffer.begin(0)
    buffer.mark_loaded()
    verdict, reason = _outcome(text, [_plain(argument) for argument in arguments])
    message = [StepMessage.VERDICT, verdict, None if reason is None else reason.as_message()]
    buffer.append(0, json.dumps(message).encode())
    buffer.finish(0)


def _outcome(text: str, arguments: Sequence[str]) -> tuple[Verdict, VerdictReason | None]:
    names: dict[str, Any] = {"__name__": _FUNCTION}
    try:
        exec(compile(text, _FILE, "exec", dont_inherit=True), names)
        answer = names[_FUNCTION](*arguments)
    except BaseException as error:
        return Verdict.ERRORED, _failure(error)
    if type(answer).__name__ in {"bool", "bool_"}:
        return (Verdict.PASSED, None) if answer else (Verdict.FAILED, _REJECTED)
    return Verdict.ERRORED, VerdictReason(
        f"The checker of the problem must return True or False but returned {type(answer).__name__}."
    )


def _failure(error: BaseException) -> VerdictReason:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE]
    name = type(error).__name__
    where = f" on line {lines[-1]}" if lines else ""
    detail = {DetailName.EXCEPTION: name, DetailName.MESSAGE: str(error)}
    return VerdictReason(f"The checker of the problem raised {name}{where}.", detail)


def _plain(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")

"""Reasons of Python programs that failed, from the end of what they wrote to the standard error."""

import re

from testbudget.executors.execution.languages.program_runs import ProgramEnd, program_failure
from testbudget.executors.execution.languages.python.reasons import PROGRAM_FILE
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$", re.ASCII)
_PLACE = re.compile(rf'^  File "{re.escape(PROGRAM_FILE)}", line (\d+)', re.MULTILINE)
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_NO_THREAD = "can't start new thread"


def traceback_reason(end: ProgramEnd) -> tuple[Verdict, VerdictReason]:
    """Verdict and reason of a program that failed.

    The program may have written anything. A traceback that is none gives the reason that it tells.
    """
    errors = end.errors
    _, found, trace = errors.rpartition("Traceback (most recent call last):")
    trace = trace if found else errors
    exception = next(
        (line for line in trace.split("\n")[1:] if line[:1] not in {"", " "} and _EXCEPTION.match(line)), ""
    )
    matched = _EXCEPTION.match(exception)
    if end.signal or matched is None or not _PLACE.search(trace):
        return program_failure(end)
    name, message = matched.group(1), matched.group(2) or ""
    line = _PLACE.findall(trace)[-1]
    detail = {DetailName.EXCEPTION: name, DetailName.LINE: line}
    if message:
        detail[DetailName.MESSAGE] = message
    verdict = Verdict.OUT_OF_MEMORY if name == "MemoryError" else Verdict.ERRORED
    module = _NO_MODULE.match(message) if name == "ModuleNotFoundError" else None
    if module is not None:
        detail[DetailName.MODULE] = module.group(1)
        package = module.group(1).partition(".")[0]
        return verdict, VerdictReason(f"The module {package} is not installed in the sandbox.", detail)
    if message == _NO_THREAD:
        return verdict, VerdictReason("The sandbox allows no further threads.", detail)
    return verdict, VerdictReason(f"The program raised {name} on line {line}.", detail)

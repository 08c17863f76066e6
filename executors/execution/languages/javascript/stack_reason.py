"""Reasons of JavaScript programs that failed, from the end of what Node wrote to the standard error."""

import re

from testbudget.executors.execution.languages.program_runs import ProgramEnd, program_failure
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

SCRIPT_FILE, MODULE_FILE = "main.js", "main.mjs"
"""Names of the file of a program, a CommonJS module or an ES module."""

_ERROR = re.compile(r"^(?:Uncaught )?(\w+)(?: \[\w+\])?: (.*)\n(?:.*\n)*?    at ", re.MULTILINE)
_LINE = re.compile(r"\bmain\.m?js:(\d+)")
_NO_MODULE = re.compile(r"Cannot find (?:module|package) '([^'\n]+)'")
_NO_MEMORY = "JavaScript heap out of memory"


def stack_reason(end: ProgramEnd) -> tuple[Verdict, VerdictReason]:
    """Verdict and reason of a program that failed. It may have written anything."""
    if _NO_MEMORY in end.errors:
        return Verdict.OUT_OF_MEMORY, VerdictReason("The program needs more memory than its limit.")
    found = _ERROR.search(end.errors)
    if end.signal or found is None:
        return program_failure(end)
    name, message = found.groups()
    detail = {DetailName.EXCEPTION: name, DetailName.MESSAGE: message}
    line = _LINE.search(end.errors)
    if line is not None:
        detail[DetailName.LINE] = line.group(1)
    module = _NO_MODULE.match(message)
    if module is not None:
        detail[DetailName.MODULE] = module.group(1)
        return Verdict.ERRORED, VerdictReason(
            f"The module {module.group(1)} is not installed in the sandbox.", detail
        )
    where = f" on line {line.group(1)}" if line is not None else ""
    return Verdict.ERRORED, VerdictReason(f"The program raised {name}{where}.", detail)

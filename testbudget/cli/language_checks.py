"""Self-tests of languages: the samples of each, with known verdicts, in sandboxes of their own."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from testbudget.executors.execution.languages import registry as languages
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase

CHECK_LIMITS = TestLimits(cpu_seconds=0.5)
"""Limits of a test in self-tests."""

_EXPECTED = {"right": Verdict.PASSED, "wrong": Verdict.FAILED, "looping": Verdict.TIMED_OUT}
_WITHOUT_COMPILER = {"broken": Verdict.COMPILE_ERROR}
_NUMBER = 3


class LanguageState(NamedTuple):
    """A language on this machine.

    Attributes:
        works: True if all of its samples get their verdicts.
        judges: what can be judged in it; why nothing can, if it does not work.
    """

    works: bool
    judges: str


def check_languages(names: Sequence[str]) -> Mapping[str, LanguageState]:
    """State of each language, by name. Several are tested at once.

    Args:
        names: names of languages, all known.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        return dict(zip(names, threads.map(_checked, names), strict=True))


def check_samples(runner: Runner, name: str) -> None:
    """Run the samples of a language.

    Args:
        runner: runner of the language.
        name: name of the language.

    Raises:
        SandboxError: a sample has another verdict than it should.
    """
    language = languages.language(name)
    if language.judges_calls:
        functions = language.sample
        programs = {
            "right": functions.right.format(0),
            "wrong": functions.wrong,
            "looping": functions.looping,
        }
        test = UnitTest("", 0, functions.test.format(_NUMBER), kind=TestKind.ASSERT)
        _compare(runner, programs, test, "double", _EXPECTED)
    if language.runs_programs:
        whole = language.program_sample
        programs = {
            "right": whole.right.format(0),
            "wrong": whole.wrong,
            "looping": whole.looping,
            "broken": whole.broken,
        }
        case = StdinCase(f"{_NUMBER}\n", f"{2 * _NUMBER}\n")
        test = UnitTest("", 0, case.as_text(), kind=TestKind.STDIN)
        _compare(runner, programs, test, None, _EXPECTED | _WITHOUT_COMPILER)


def what_is_judged(name: str) -> str:
    """Words for what can be judged in a language.

    Args:
        name: name of the language.
    """
    language = languages.language(name)
    functions = ["functions"] if language.judges_calls else []
    programs = ["programs that read standard input"] if language.runs_programs else []
    return " and ".join(functions + programs)


def _checked(name: str) -> LanguageState:
    try:
        with Runner(CHECK_LIMITS, language=name) as runner:
            check_samples(runner, name)
    except (SandboxError, UserError) as error:
        return LanguageState(False, str(error))
    return LanguageState(True, what_is_judged(name))


def _compare(
    runner: Runner,
    programs: Mapping[str, str],
    test: UnitTest,
    entry_point: str | None,
    expected: Mapping[str, Verdict],
) -> None:
    verdicts = runner.run([*programs.values()], [test], entry_point).verdicts[:, 0]
    for name, verdict in zip(programs, verdicts.tolist(), strict=True):
        if verdict != expected[name]:
            raise SandboxError(
                f"the self-check failed: the {name} program must get {expected[name].name.lower()} "
                f"but got {Verdict(verdict).name.lower()}"
            )

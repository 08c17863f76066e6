"""Self-check of the sandbox: isolation layers of this machine, and verdicts of programs that are known."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from testbudget.cli.language_checks import (
    CHECK_LIMITS,
    LanguageState,
    check_languages,
    check_samples,
    what_is_judged,
)
from testbudget.executors.execution.languages import registry as languages
from testbudget.executors.execution.languages.base import Language
from testbudget.executors.execution.limits import ISOLATION_LAYERS
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox import isolation
from testbudget.rewards.errors import SandboxError
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase

_PROGRAMS, _TESTS = 25, 10  # of the block that is timed
_COMPILED = 1  # programs of that block in a language with compilers
_DEFAULT = "python"


class LayerState(NamedTuple):
    """An isolation layer on this machine: in force, or missing for a reason."""

    gives: str
    in_force: bool
    reason: str | None


class Diagnosis(NamedTuple):
    """Isolation of this machine.

    Attributes:
        layers: state of each layer, outermost first.
        language: language of the self-check.
        pairs_per_second: speed of one sandbox in the self-check.
        languages: state of each language, or only of the one that was asked for.
        cpus: number of CPU cores.
        python: version of the interpreter.
        node: version of Node; None if it cannot be started.
        node_text: the version, or a sentence that says why there is none.
    """

    layers: Mapping[str, LayerState]
    language: str
    pairs_per_second: float
    languages: Mapping[str, LanguageState]
    cpus: int
    python: str
    node: str | None
    node_text: str


def diagnose(language: str | None) -> Diagnosis:
    """Start a sandbox, find its isolation layers, and test it on programs with known verdicts.

    Args:
        language: the only language to test; None to test all that are known.

    Raises:
        SandboxError: the sandbox cannot be built, or a verdict is wrong.
        UserError: the machine lacks a program that the named language needs.
    """
    name = language or _DEFAULT
    with Runner(CHECK_LIMITS, language=name) as runner:
        refusals = isolation.missing_layer_reasons(CHECK_LIMITS) if runner.missing else {}
        layers = {}
        for layer, gives in ISOLATION_LAYERS.items():
            in_force = layer in runner.layers
            reason = None if in_force else refusals.get(layer, "refused when the sandbox was started")
            layers[layer] = LayerState(gives, in_force, reason)
        check_samples(runner, name)
        speed = _pairs_per_second(runner, languages.language(name))
    others = [] if language else [other for other in languages.BUILT_IN if other != name]
    states = {name: LanguageState(True, what_is_judged(name)), **check_languages(others)}
    return Diagnosis(layers, name, speed, states, os.cpu_count() or 1, platform.python_version(), *_node())


def _pairs_per_second(runner: Runner, language: Language) -> float:
    """Speed on a block of right programs.

    Raises:
        SandboxError: a right program does not pass.
    """
    count = _COMPILED if language.toolchain.compilers else _PROGRAMS
    if language.judges_calls:
        many = [language.sample.right.format(number) for number in range(count)]
        tests = [
            UnitTest("", number, language.sample.test.format(number), kind=TestKind.ASSERT)
            for number in range(_TESTS)
        ]
    else:
        many = [language.program_sample.right.format(number) for number in range(count)]
        cases = [StdinCase(f"{number}\n", f"{2 * number}\n") for number in range(_TESTS)]
        tests = [
            UnitTest("", number, case.as_text(), kind=TestKind.STDIN) for number, case in enumerate(cases)
        ]
    entry_point = "double" if language.judges_calls else None
    runner.run(many, tests[:1], entry_point)  # compiles them
    start = time.perf_counter()
    verdicts = runner.run(many, tests, entry_point, record=False).verdicts
    seconds = time.perf_counter() - start
    if not np.all(verdicts == Verdict.PASSED):
        raise SandboxError("the self-check failed: right programs must pass every test but did not")
    return verdicts.size / seconds


def _node() -> tuple[str | None, str]:
    """The version of Node, or None and a sentence that says why there is none."""
    path = shutil.which("node")
    if path is None:
        return None, "not found"
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = version.stdout.strip().removeprefix("v")
    return (found, found) if found else (None, f"at {path} does not start")

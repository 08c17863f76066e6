"""Self-check of the sandbox: isolation layers of this machine, and verdicts of programs that are known."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from testbudget.executors.execution.languages import registry as languages
from testbudget.executors.execution.languages.base import LanguageSample
from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox import isolation
from testbudget.rewards.errors import SandboxError
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

_LIMITS = TestLimits(cpu_seconds=0.5)
_PROGRAMS, _TESTS = 25, 10  # of the block that is timed


_EXPECTED = {"right": Verdict.PASSED, "wrong": Verdict.FAILED, "looping": Verdict.TIMED_OUT}


class LayerState(NamedTuple):
    """An isolation layer on this machine: in force, or missing for a reason."""

    gives: str
    in_force: bool
    reason: str | None


class Diagnosis(NamedTuple):
    """Isolation of this machine.

    Attributes:
        layers: state of each layer, outermost first.
        pairs_per_second: speed of one sandbox in the self-check.
        cpus: number of CPU cores.
        python: version of the interpreter.
        node: version of Node; None if it cannot be started.
        node_text: the version, or a sentence that says why there is none.
    """

    layers: Mapping[str, LayerState]
    pairs_per_second: float
    cpus: int
    python: str
    node: str | None
    node_text: str


def diagnose(language: str) -> Diagnosis:
    """Start a sandbox, find its isolation layers, and test it on programs with known verdicts.

    Raises:
        SandboxError: the sandbox cannot be built, or a verdict is wrong.
    """
    with Runner(_LIMITS, language=language) as runner:
        refusals = isolation.missing_layer_reasons(_LIMITS) if runner.missing else {}
        layers = {}
        for layer, gives in ISOLATION_LAYERS.items():
            in_force = layer in runner.layers
            reason = None if in_force else refusals.get(layer, "refused when the sandbox was started")
            layers[layer] = LayerState(gives, in_force, reason)
        speed = _self_check(runner, languages.language(language).sample)
    return Diagnosis(layers, speed, os.cpu_count() or 1, platform.python_version(), *_node())


def _self_check(runner: Runner, sample: LanguageSample) -> float:
    """Judge a right, a wrong and a looping program, then time a block.

    Returns:
        Pairs per second.

    Raises:
        SandboxError: a verdict is wrong.
    """
    programs = [sample.right.format(0), sample.wrong, sample.looping]
    verdicts = runner.run(programs, [_test(sample, 3)], "double").verdicts[:, 0]
    for (name, expected), verdict in zip(_EXPECTED.items(), verdicts, strict=True):
        if verdict != expected:
            got = Verdict(verdict).name.lower()
            raise SandboxError(
                f"the self-check failed: the {name} program must get {expected.name.lower()} but got {got}"
            )
    many = [sample.right.format(number) for number in range(_PROGRAMS)]
    tests = [_test(sample, number) for number in range(_TESTS)]
    start = time.perf_counter()
    verdicts = runner.run(many, tests, "double", record=False).verdicts
    seconds = time.perf_counter() - start
    if not np.all(verdicts == Verdict.PASSED):
        raise SandboxError("the self-check failed: right programs must pass every test but did not")
    return verdicts.size / seconds


def _test(sample: LanguageSample, number: int) -> UnitTest:
    return UnitTest("", number, sample.test.format(number), kind=TestKind.ASSERT)


def _node() -> tuple[str | None, str]:
    """The version of Node, or None and a sentence that says why there is none."""
    path = shutil.which("node")
    if path is None:
        return None, "not found, so no JavaScript"
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = version.stdout.strip().removeprefix("v")
    return (found, found) if found else (None, f"{path} does not start, so no JavaScript")

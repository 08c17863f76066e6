"""``testbudget doctor``: what keeps programs apart from this machine, and whether it works."""

import argparse
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from rich.console import Console

from testbudget.executors.execution.judging.sandbox_main import LANGUAGES
from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.execution.sandbox import isolation
from testbudget.rewards.errors import SandboxError
from testbudget.rewards.problem import TestKind, UnitTest, Verdict

DESCRIPTION = """\
Start one sandbox, tell which isolation layers are in force and why others are not, and try it on a right,
a wrong and a looping program. The exit code is 0 if the sandbox works, whatever layers are missing; a job
file can name those that must not be missing (sandbox.require).
"""

_LIMITS = TestLimits(cpu_seconds=0.5)
_PROGRAMS, _TESTS = 25, 10  # of the block that is timed


class _Sample(NamedTuple):
    """Programs in one language; ``right`` has room for a number, which makes it one of many."""

    right: str
    wrong: str
    looping: str
    test: str


_SAMPLES: Mapping[str, _Sample] = {
    "python": _Sample(
        "def double(x): return x * 2 + {} * 0",
        "def double(x): return x + 2",
        "def double(x):\n    while True: pass",
        "assert double({0}) == {0} * 2",
    ),
    "javascript": _Sample(
        "function double(x) {{ return x * 2 + {} * 0; }}",
        "function double(x) { return x + 2; }",
        "function double(x) { while (true); }",
        "require('node:assert').strictEqual(double({0}), {0} * 2);",
    ),
}
_EXPECTED = {"right": Verdict.PASSED, "wrong": Verdict.FAILED, "looping": Verdict.TIMED_OUT}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="tell what isolates programs on this machine",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--language", choices=tuple(LANGUAGES), default="python", help="of the programs (default: python)"
    )
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the layers, the self-check and the interpreters.

    Raises:
        SandboxError: the sandbox cannot be built, or does not judge as it should.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False)
    with Runner(_LIMITS, language=arguments.language) as runner:
        refusals = isolation.missing_layer_reasons(_LIMITS) if runner.missing else {}
        for layer, gives in ISOLATION_LAYERS.items():
            console.print(f"{layer:14}{_state(layer, runner, refusals, gives)}")
        console.print(f"{'self-check':14}{_self_check(runner, _SAMPLES[arguments.language])}")
    console.print(f"{'python':14}{platform.python_version()}")
    console.print(f"{'node':14}{_node()}")


def _state(layer: str, runner: Runner, refusals: Mapping[str, str], gives: str) -> str:
    if layer in runner.layers:
        return f"in force  {gives}"
    return f"MISSING   {gives} ({refusals.get(layer, 'refused when the sandbox was started')})"


def _self_check(runner: Runner, sample: _Sample) -> str:
    """A sentence on the verdicts that came out and how fast, if they are what they should be."""
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
    return (
        f"passed    {verdicts.size / seconds:,.0f} pairs/s in one sandbox, on one of {os.cpu_count()} CPUs"
    )


def _test(sample: _Sample, number: int) -> UnitTest:
    return UnitTest("", number, sample.test.format(number), kind=TestKind.ASSERTIONS)


def _node() -> str:
    path = shutil.which("node")
    if path is None:
        return "not found, so no JavaScript"
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return version.stdout.strip().removeprefix("v") or f"{path} does not start, so no JavaScript"

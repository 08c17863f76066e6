"""Honest and hostile programs in languages with compilers, and what compilers leave behind."""

import itertools
import shutil
from pathlib import Path

import pytest
import yaml

from testbudget.executors.execution.languages.registry import BUILT_IN
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.problem import TestKind, UnitTest, Verdict
from testbudget.rewards.stdin_case import StdinCase

LIMITS = TestLimits(cpu_seconds=1, wall_seconds=3, memory_mib=256)
TEST = UnitTest("", 0, StdinCase("3\n", "6\n").as_text(), kind=TestKind.STDIN)
PROGRAMS = yaml.safe_load((Path(__file__).parent / "programs.yaml").read_text("utf-8"))
BY_LANGUAGE = {
    language: list(rows) for language, rows in itertools.groupby(PROGRAMS, lambda program: program[0])
}


@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_every_program_has_its_verdict_and_harms_no_other(language):
    if missing := BUILT_IN[language].what_is_missing():
        pytest.skip(missing)
    rows = BY_LANGUAGE[language]
    compiler = f'"{Path(shutil.which("gcc") or "gcc").resolve()}"'
    texts = [text.replace("COMPILER", compiler) for *_, text in rows]
    with Runner(LIMITS, language=language) as runner:
        block = runner.run(texts, [TEST])
    found = []
    for verdict, number in zip(block.verdicts[:, 0], block.reason_of[:, 0], strict=True):
        reason = block.reasons[number]
        found.append(
            (Verdict(verdict).name.lower(), f"{reason.sentence} {' '.join(reason.detail.values())}")
        )
    for (_, verdict, part, text), (given, reason) in zip(rows, found, strict=True):
        assert given == verdict, (text, reason)
        assert part in reason, text


def test_artefacts_beyond_a_bound_are_compiled_again():
    if missing := BUILT_IN["c"].what_is_missing():
        pytest.skip(missing)
    head = "#include <stdio.h>\nchar a[29 << 20] = {6};\n"
    with Runner(LIMITS, language="c") as runner:
        mains = (f'int main(void) {{ printf("%d", a[0] + {number}); }}' for number in range(10))
        block = runner.run([head + main for main in mains], [TEST], record=False)
    assert block.verdicts[:, 0].tolist() == [Verdict.PASSED] + [Verdict.FAILED] * 9


LEAVING = """
import subprocess

from testbudget.executors.execution.languages.compiled.compiled_language import CompiledLanguage, Tool
from testbudget.executors.execution.languages.program_runs import ProgramSample
from testbudget.executors.execution.sandbox.toolchain import Toolchain


class Leaving(CompiledLanguage):
    title = "Leaving"
    tools = (Tool("sleep", "coreutils"), Tool("cat", "coreutils"))
    source_name = artefact_name = "text"
    run_time = Toolchain()
    program_sample = ProgramSample("{}", "", "", "", "")

    def compile_text(self, text):
        with open("left", "w") as file:
            file.write(text)
        subprocess.Popen([self.compiler, "8642.125"])
        return text.encode()

    def run_command(self, process_runner):
        return (self.programs[1], self.artefact_name)
"""


def test_no_process_of_a_compiler_outlives_it_and_no_file(install_plugin):
    place = {"testbudget.languages": {"leaving": "acme_leaving:Leaving"}}
    install_plugin("acme", place, {"acme_leaving.py": LEAVING})
    with Runner(LIMITS, language="leaving") as runner:
        block = runner.run(["6", "7"], [TEST])
        commands = []
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                commands.append(process.read_bytes())
            except OSError:
                continue  # it has ended
    assert block.verdicts[:, 0].tolist() == [Verdict.PASSED, Verdict.FAILED]
    assert not any(b"8642.125" in command for command in commands)

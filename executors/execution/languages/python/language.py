"""Python as a `Language`."""

import gc
import os
from collections.abc import Sequence

from testbudget.executors.execution.languages.base import (
    CallJobs,
    CallPath,
    Connection,
    Language,
    LanguageSample,
    Program,
    Source,
)
from testbudget.executors.execution.languages.program_runs import ProgramEnd, ProgramSample
from testbudget.executors.execution.languages.python import (
    calls,
    entry_points,
    interpreter,
    judge,
    program_run,
    programs,
    rehearsal,
    same_process,
)
from testbudget.executors.execution.languages.python.objects import candidate_side, judge_side, replay
from testbudget.executors.execution.languages.python.package_imports import (
    load_package_modules,
    package_imports,
)
from testbudget.executors.execution.languages.python.traceback_reason import traceback_reason
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason


class Python(Language):
    """Python programs, run by forks of the interpreter that serves the sandbox.

    Attributes:
        packages: NumPy. Other installed packages may hold reference solutions of the problems.
        judges_objects: True.
        judge_stays: True.
        judges_in_same_process: True.
    """

    sample = LanguageSample(
        "def double(x): return x * 2 + {} * 0",
        "def double(x): return x + 2",
        "def double(x):\n    while True: pass",
        "assert double({0}) == {0} * 2",
    )
    program_sample = ProgramSample(
        "print(int(input()) * 2 + {} * 0)",
        "print(int(input()) + 2)",
        "while True: pass",
        "print(int(input()) * 2",
        "print(int(input()) * 2)\nraise SystemExit(3)",
    )
    runs_programs = True
    packages = ("numpy",)
    judges_objects = True
    judge_stays = True
    judges_in_same_process = True

    def preload(self) -> None:
        """Import modules that programs commonly import."""
        interpreter.preload()
        program_run.prepare()

    def rehearse(self, process_runner: ProcessRunner) -> None:
        """Run programs of our own on functions and on objects."""
        rehearsal.rehearse(process_runner)

    def slow_imports(self, texts: Sequence[str]) -> Sequence[str]:
        """Names of slowly imported modules, and of modules of packages, that a program mentions."""
        return [*interpreter.slow_imports(texts), *package_imports(texts, self.package_modules)]

    def load_modules(self, names: Sequence[str]) -> None:
        """Import modules, so that later forks inherit them."""
        own = [name for name in names if name.partition(".")[0] in self.package_modules]
        interpreter.import_modules(name for name in names if name not in own)
        load_package_modules(own)

    def compile_sources(
        self, buffer: ResultBuffer, sources: Sequence[Source], entry_point: str | None
    ) -> None:
        """Compile each source; for a test, also find the names that it uses of the candidate."""
        gc.disable()  # a collection would visit whole syntax trees and free little
        for step, source in enumerate(sources):
            buffer.begin(step)
            buffer.append(step, programs.compile_source(source, entry_point))
            buffer.finish(step)

    def decode_program(self, text: bytes) -> Program:
        """Program whose content is a code object; for a test, its kind and a code object."""
        return programs.unpack_program(text)

    def run_program(self, process_runner: ProcessRunner, artefact: int) -> int:  # noqa: ARG002
        """Run a program in this process, as the interpreter would."""
        return program_run.run_program(artefact)

    def failure_reason(self, end: ProgramEnd) -> tuple[Verdict, VerdictReason]:
        """Verdict and reason of a program that failed, from its traceback."""
        return traceback_reason(end)

    def defines_any(self, candidate: Program, names: Sequence[str]) -> bool:
        """Return whether a candidate binds one of these names at its top level or declares it global."""
        return programs.defines_any(candidate.content, names)

    def defines_class(self, candidate: Program, names: Sequence[str]) -> bool:
        """Return whether a candidate has a class statement with one of these names at its top level."""
        return programs.defines_class(candidate.content, names)

    def make_calls(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,
        jobs: CallJobs,
        entry_point: str | None,
    ) -> None:
        """Load and call the candidate of each job in a module of its own."""
        calls.make_calls(buffer, process_runner, jobs, entry_point)

    def judge(self, buffer: ResultBuffer, replays: Sequence[tuple[Program, CallPath]]) -> None:
        """Run each test in a module that holds stand-ins for the functions that it calls."""
        judge.judge_tests(buffer, replays)
        if not interpreter.is_reusable():
            os._exit(0)

    def judge_objects(
        self, buffer: ResultBuffer, connection: Connection, test: Program, entry_point: str | None
    ) -> bool:
        """Run a test in a module that holds proxies for what the candidate defines."""
        return judge_side.judge_objects(buffer, connection, test, entry_points.first_name(entry_point))

    def serve_objects(
        self, buffer: ResultBuffer, connection: Connection, candidate: Program, entry_point: str | None
    ) -> None:
        """Load a candidate and serve the requests of a judge."""
        candidate_side.serve_objects(buffer, connection, candidate, entry_point)

    def object_state(
        self, buffer: ResultBuffer, candidate: Program, script: str, entry_point: str | None
    ) -> None:
        """Load a candidate, repeat the requests of a script, and leave the state of an object."""
        replay.object_state(buffer, candidate, script, entry_point)

    def judge_in_same_process(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,
        candidate: Program,
        tests: Sequence[Program],
        entry_point: str | None,
    ) -> None:
        """Run each test in the module of the candidate."""
        same_process.judge_in_same_process(buffer, process_runner, candidate, tests, entry_point)

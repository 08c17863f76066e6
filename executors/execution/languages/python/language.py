"""Python as a language of candidates and tests."""

import gc
import marshal
from collections.abc import Sequence

from testbudget.executors.execution.languages.base import Job, Language, Path, Program, Source
from testbudget.executors.execution.languages.python import calls, judge, programs, shared_process
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import TestKind


class Python(Language):
    """Programs are compiled once; every process is a fork of the interpreter that did it."""

    # Named one by one, since among installed packages there may be the problems' own reference solutions.
    packages = ("numpy",)
    shares_interpreter = True

    def preload(self) -> None:
        """Import what programs commonly import."""
        programs.preload()

    def needs(self, texts: Sequence[str]) -> Sequence[str]:
        """Modules that only some programs import."""
        return programs.slow_imports(texts)

    def load(self, names: Sequence[str]) -> None:
        """Import modules."""
        programs.import_all(names)

    def read(self, buffer: ResultBuffer, sources: Sequence[Source], entry_point: str | None) -> None:
        """Compile; for a test, also see how it uses the candidate."""
        gc.disable()  # a syntax tree is much to visit, and nothing in it is garbage for long
        for step, (text, kind) in enumerate(sources):
            buffer.begin(step)
            code = programs.compile_program(text)
            if code is not None:
                if kind is None:
                    program = programs.candidate_program(text, code)
                else:
                    program = programs.test_program(text, code, entry_point)
                packed = marshal.dumps((tuple(program), None if kind is None else str(kind)))
                buffer.append(step, packed)
            buffer.finish(step)

    def program(self, left: bytes) -> Program:
        """What ``read`` has left; a test's content is its kind and its code."""
        (content, *facts), kind = marshal.loads(left)
        return Program(content if kind is None else (TestKind(kind), content), *facts)

    def defines(self, candidate: Program, names: Sequence[str]) -> bool:
        """By the names that the candidate's code binds."""
        return bool(names) and not programs.defined_names(candidate.content).isdisjoint(names)

    def make_calls(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,
        jobs: Sequence[Job],
        entry_point: str | None,
    ) -> None:
        """In a module of its own for each job."""
        calls.make_calls(buffer, process_runner, jobs, entry_point)

    def judge(self, buffer: ResultBuffer, plays: Sequence[tuple[Program, Path]]) -> None:
        """With stand-ins in the module of the candidate."""
        judge.judge(buffer, plays)

    def judge_together(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,
        candidate: Program,
        tests: Sequence[Program],
        entry_point: str | None,
    ) -> None:
        """In the module of the candidate, with a watch on its operators."""
        shared_process.judge_in_shared_process(buffer, process_runner, candidate, tests, entry_point)

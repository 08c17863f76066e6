"""Python as a language of candidates and tests."""

import gc
import marshal
from collections.abc import Sequence

from executors.execution.arena import Arena
from executors.execution.languages.base import Job, Language, Path, Program, Source
from executors.execution.languages.python import calling, judging, loading, reading, together
from executors.execution.process import Station
from rewards.problem import TestKind


class Python(Language):
    """Programs are compiled once; every process is a fork of the interpreter that did it."""

    # Named one by one, since among installed packages there may be the problems' own reference solutions.
    packages = ("numpy",)
    shares_interpreter = True

    def preload(self) -> None:
        """Import what programs commonly import."""
        loading.preload()

    def needs(self, texts: Sequence[str]) -> Sequence[str]:
        """Modules that only some programs import."""
        return loading.dear_modules_in(texts)

    def load(self, names: Sequence[str]) -> None:
        """Import modules."""
        loading.import_all(names)

    def read(self, arena: Arena, sources: Sequence[Source], entry_point: str | None) -> None:
        """Compile; for a test, also see how it uses the candidate."""
        gc.disable()  # a syntax tree is much to visit, and nothing in it is garbage for long
        for step, (text, kind) in enumerate(sources):
            arena.begin(step)
            code = reading.compiled(text)
            if code is not None:
                if kind is None:
                    program = reading.candidate_program(text, code)
                else:
                    program = reading.test_program(text, code, entry_point)
                packed = marshal.dumps((tuple(program), None if kind is None else str(kind)))
                arena.append(step, packed)
            arena.finish(step)

    def program(self, left: bytes) -> Program:
        """What ``read`` has left; a test's content is its kind and its code."""
        (content, *facts), kind = marshal.loads(left)
        return Program(content if kind is None else (TestKind(kind), content), *facts)

    def defines(self, candidate: Program, names: Sequence[str]) -> bool:
        """By the names that the candidate's code binds."""
        return bool(names) and not reading.defined_names(candidate.content).isdisjoint(names)

    def make_calls(
        self, arena: Arena, station: Station, jobs: Sequence[Job], entry_point: str | None
    ) -> None:
        """In a module of its own for each job."""
        calling.make_calls(arena, station, jobs, entry_point)

    def judge(self, arena: Arena, plays: Sequence[tuple[Program, Path]]) -> None:
        """With stand-ins in the module of the candidate."""
        judging.judge(arena, plays)

    def judge_together(
        self,
        arena: Arena,
        station: Station,
        candidate: Program,
        tests: Sequence[Program],
        entry_point: str | None,
    ) -> None:
        """In the module of the candidate, with a watch on its operators."""
        together.judge_together(arena, station, candidate, tests, entry_point)

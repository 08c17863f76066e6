"""Compiled programs of a sandbox; equal programs are compiled once."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from testbudget.executors.execution.judging import work
from testbudget.executors.execution.languages.base import Language, Program, Source
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.staying_process import StayingProcess
from testbudget.executors.execution.sandbox.toolchain import COMPILER_CPU_SECONDS

_CPU_SECONDS = 60  # of one compiling process, and one more for each program
_MAX_PROGRAMS = 1024


class CompiledProgram(NamedTuple):
    """Program that compiles.

    Attributes:
        program: its properties.
        text: text from which processes decode it.
    """

    program: Program
    text: bytes


class ProgramCache:
    """Cache of the latest 1024 compiled programs.

    Args:
        reader: process that compiles. It executes no program, so it may stay; or a source of processes that
            start compilers, each for one program.
        language: language of the programs.
        wall_seconds: elapsed seconds that a compiler may take, as a multiple of those of a test.
    """

    def __init__(
        self, reader: StayingProcess | ForkServer, language: Language, wall_seconds: float = 1.0
    ) -> None:
        self._reader = reader
        self._language = language
        self._wall_seconds = wall_seconds
        self._programs: dict[tuple[Source, str | None], CompiledProgram | None] = {}

    def compiled(self, sources: Sequence[Source], entry_point: str | None) -> list[CompiledProgram | None]:
        """Programs in the order of their sources; None for a source that does not compile.

        Compilation happens in another process, because some texts make a compiler hang or crash. A text
        that ends the process counts as one that does not compile.

        Args:
            sources: candidates and tests, any number.
            entry_point: name of the function or class under test; None if unknown.

        Raises:
            OSError: no process could be forked or watched, or it ended before the first source.
        """
        unknown = [
            source for source in dict.fromkeys(sources) if (source, entry_point) not in self._programs
        ]
        while unknown:
            programs = self._compile_some(unknown, entry_point)
            self._programs.update(
                ((source, entry_point), program) for source, program in zip(unknown, programs, strict=False)
            )
            unknown = unknown[len(programs) :]
        found = [self._programs[source, entry_point] for source in sources]
        while len(self._programs) > _MAX_PROGRAMS:
            del self._programs[next(iter(self._programs))]
        return found

    def _compile_some(
        self, sources: Sequence[Source], entry_point: str | None
    ) -> list[CompiledProgram | None]:
        """Programs of the first sources, as many as one process can compile, at least one."""
        if isinstance(self._reader, ForkServer):
            sources = sources[:1]
            content = work.compile_sources(sources, entry_point)
            ended = self._reader.run(Work(content, 1, COMPILER_CPU_SECONDS, self._wall_seconds))
        else:
            content = work.compile_sources(sources, entry_point)
            ended = self._reader.run(Work(content, len(sources), _CPU_SECONDS + len(sources)))
        if ended.limit is not None and not ended.loaded and not any(step.finished for step in ended.steps):
            raise OSError("the process that compiles programs took too long to start")
        steps = list(itertools.takewhile(lambda step: step.finished, ended.steps))
        programs: list[CompiledProgram | None] = [
            self._decoded(step.texts[0]) if step.texts else None for step in steps
        ]
        if len(programs) < len(sources) and (ended.signal or not programs):
            programs.append(None)
        return programs

    def _decoded(self, text: bytes) -> CompiledProgram:
        return CompiledProgram(self._language.decode_program(text), text)

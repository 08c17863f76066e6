"""Compiled programs of a sandbox; equal programs are compiled once."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from testbudget.executors.execution.judging import work
from testbudget.executors.execution.judging.engine_reasons import (
    CANDIDATE_DOES_NOT_COMPILE,
    TEST_DOES_NOT_COMPILE,
)
from testbudget.executors.execution.languages.base import Language, Program, Source
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.result_buffer import parse_message
from testbudget.executors.execution.processes.staying_process import StayingProcess
from testbudget.executors.execution.sandbox.toolchain import COMPILER_CPU_SECONDS
from testbudget.rewards.problem import TestKind
from testbudget.rewards.verdict_reason import VerdictReason

_CPU_SECONDS = 60  # of one compiling process, and one more for each program
_MAX_PROGRAMS, _MAX_BYTES = 1024, 64 << 20
_MAX_BYTES_AT_ONCE = 256 << 20  # of the artefacts of a block
_NOT_COMPILED = f'["{StepMessage.NOT_COMPILED}"'.encode()


class CompiledProgram(NamedTuple):
    """Program that compiles.

    Attributes:
        program: its properties; without content for a candidate that is run as a program.
        text: text from which processes decode it, or which they execute.
        dropped: True for a candidate that is run as a program, and has to be compiled again for its text,
            since all artefacts of the block together would take too much memory.
    """

    program: Program
    text: bytes
    dropped: bool = False


Compiled = CompiledProgram | VerdictReason
"""Program that compiles, or why it does not."""


class ProgramCache:
    """Cache of the latest 1024 compiled programs, or fewer if they take more than 64 MiB.

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
        self._programs: dict[tuple[Source, str | None], Compiled] = {}
        self._bytes = 0  # of all programs

    def compiled(self, sources: Sequence[Source], entry_point: str | None) -> list[Compiled]:
        """Programs in the order of their sources, or why a source does not compile.

        Compilation happens in another process, because some texts make a compiler hang or crash. A text
        that ends the process counts as one that does not compile.

        Args:
            sources: candidates and tests, any number.
            entry_point: name of the function or class under test; None if unknown.

        Raises:
            OSError: no process could be forked or watched, or it ended before the first source.
        """
        found = {
            source: self._programs[source, entry_point]
            for source in dict.fromkeys(sources)
            if (source, entry_point) in self._programs
        }
        unknown = [source for source in dict.fromkeys(sources) if source not in found]
        in_use = 0
        while unknown:
            programs = self._compile_some(unknown, entry_point)
            for source, program in zip(unknown, programs, strict=False):
                self._programs[source, entry_point] = found[source] = program
                self._bytes += _size(program)
                in_use += _size(program)
                if in_use > _MAX_BYTES_AT_ONCE and source.kind is TestKind.STDIN:
                    found[source] = _without_text(program)
            self._forget()
            unknown = unknown[len(programs) :]
        return [found[source] for source in sources]

    def _forget(self) -> None:
        """Forget the oldest programs beyond the bounds."""
        while len(self._programs) > _MAX_PROGRAMS or self._bytes > _MAX_BYTES:
            self._bytes -= _size(self._programs.pop(next(iter(self._programs))))

    def _compile_some(self, sources: Sequence[Source], entry_point: str | None) -> list[Compiled]:
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
        programs = [self._decoded(source, step.texts) for source, step in zip(sources, steps, strict=False)]
        if len(programs) < len(sources) and (ended.signal or not programs):
            programs.append(_reason(sources[len(programs)]))
        return programs

    def _decoded(self, source: Source, texts: Sequence[bytes]) -> Compiled:
        if not texts or texts[0].startswith(_NOT_COMPILED):
            return _reason(source, texts)
        (text,) = texts
        if source.kind is TestKind.STDIN:
            return CompiledProgram(Program(None, self_contained=False), text)
        return CompiledProgram(self._language.decode_program(text), text)


def _size(program: Compiled) -> int:
    """Bytes of a program's text."""
    return len(program.text) if isinstance(program, CompiledProgram) else 0


def _without_text(program: Compiled) -> Compiled:
    return program._replace(text=b"", dropped=True) if isinstance(program, CompiledProgram) else program


def _reason(source: Source, texts: Sequence[bytes] = ()) -> VerdictReason:
    """Reason why a source does not compile, from the message that its step left, if any."""
    found = None
    if texts:
        _, *rest = parse_message(texts[0]) or [None]
        found = VerdictReason.from_message(rest[0]) if rest else None
    if source.kind in {None, TestKind.STDIN}:
        return found or CANDIDATE_DOES_NOT_COMPILE
    return VerdictReason(TEST_DOES_NOT_COMPILE.sentence, found.detail if found else {})

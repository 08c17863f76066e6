"""Base of languages with a compiler: its command compiles a program, which is then run as it is.

A subclass names its tools, the command that compiles the file ``source_name`` into ``artefact_name``, and,
unless that is an executable of the machine, the command that runs it. The compiler runs in the working
directory of a confined process, with the program as the only file there.
"""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, NamedTuple

from testbudget.executors.execution.languages.base import Language, Source
from testbudget.executors.execution.languages.compiled.compiler_output import not_compiled
from testbudget.executors.execution.languages.compiled.compiler_run import (
    CompileError,
    origin_of,
    run_compiler,
    tool_path,
)
from testbudget.executors.execution.languages.compiled.failure_patterns import (
    FailurePattern,
    failure_of,
    has_failed_assertion,
)
from testbudget.executors.execution.languages.compiled.program_text import joined_by_braces
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.program_runs import ProgramEnd
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.sandbox.toolchain import Toolchain
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason

_IGNORED_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)  # by Python, and so by what it executes
_MAX_ARTEFACT = 30 << 20  # bytes; a result buffer holds it


class Tool(NamedTuple):
    """Executable that a language needs.

    Attributes:
        command: its name, which is looked for on the ``PATH`` of the caller.
        package: Debian package that brings it.
    """

    command: str
    package: str


class CompiledLanguage(Language):
    """Language whose programs a compiler translates.

    Attributes:
        title: name of the language in sentences.
        tools: executables that are needed. The first one is the compiler.
        source_name: name of the file that is compiled.
        artefact_name: name of the file that the compiler makes.
        run_time: threads and memory of the run-time, the size of stacks, and whether the artefact is an
            executable. Paths are added to it.
        failure_patterns: what the run-time prints about a program that fails.
    """

    judges_calls = False
    runs_programs = True

    title: ClassVar[str]
    tools: ClassVar[Sequence[Tool]]
    source_name: ClassVar[str]
    artefact_name: ClassVar[str] = "program"
    run_time: ClassVar[Toolchain] = Toolchain(native=True, stack_mib=64)
    failure_patterns: ClassVar[Sequence[FailurePattern]] = ()

    def compile_command(self) -> Sequence[str]:
        """Command that compiles ``source_name`` into ``artefact_name``, in the current directory."""
        raise NotImplementedError

    def run_command(self, process_runner: ProcessRunner) -> Sequence[str]:
        """Command that runs ``artefact_name`` in the current directory. Not called if it is an executable.

        Args:
            process_runner: names the limits.
        """
        raise NotImplementedError

    def environment(self, process_runner: ProcessRunner) -> Mapping[str, str]:  # noqa: ARG002
        """Environment variables of programs, beside those of the language and the time zone.

        Args:
            process_runner: names the limits.
        """
        return {}

    def tool_paths(self) -> Sequence[str]:
        """Paths of the tools, all of which are there. The first one is the compiler."""
        return [path for tool in self.tools if (path := tool_path(tool.command)) is not None]

    def helpers(self) -> Sequence[str]:
        """Further executables, and directories of them, that the compiler starts; they must exist."""
        return ()

    def read_by_tools(self) -> Sequence[str]:
        """Files and directories that compilers or programs read, beside the system's libraries.

        Those that do not exist are left out.
        """
        return ()

    def what_is_missing(self) -> str | None:
        """Sentence that names the first tool which is not on the ``PATH``, and its package."""
        for tool in self.tools:
            if tool_path(tool.command) is None:
                return (
                    f"{self.title} programs need {tool.command}, which is not installed; "
                    f"Debian's package is {tool.package}"
                )
        return None

    def prepare(self) -> None:
        """Find the compiler, what it starts and what it reads."""
        if self.toolchain.compilers or self.what_is_missing() is not None:
            return
        tools = tuple(self.tool_paths())
        if not self.run_time.native:
            self.programs = tools
        self.toolchain = replace(
            self.run_time,
            compilers=(*tools, *self.helpers()),
            files=tuple(path for path in self.read_by_tools() if Path(path).exists()),
        )

    @property
    def compiler(self) -> str:
        """Path of the compiler."""
        return self.toolchain.compilers[0]

    def compile_sources(
        self,
        buffer: ResultBuffer,
        sources: Sequence[Source],
        entry_point: str | None,  # noqa: ARG002
    ) -> None:
        """Compile each source; leave the artefact, or what the compiler says."""
        for step, source in enumerate(sources):
            buffer.begin(step)
            buffer.mark_loaded()  # a compiler that reaches a limit is the program's fault
            try:
                text = self.compile_text(source.text)
            except CompileError as error:
                text = json.dumps([StepMessage.NOT_COMPILED, error.reason.as_message()]).encode()
            buffer.append(step, text)
            buffer.finish(step)

    def compile_text(self, text: str) -> bytes:
        """Artefact of a program. Called in an empty directory.

        Raises:
            CompileError: it does not compile.
        """
        Path(self.source_name).write_text(text, "utf-8", "replace")
        run_compiler(self.compile_command())
        return self.artefact()

    def artefact(self) -> bytes:
        """Content of the file that the compiler has made.

        Raises:
            CompileError: there is none, or it is too large.
        """
        try:
            content = Path(self.artefact_name).read_bytes()
        except OSError:
            raise CompileError(not_compiled("the compiler made no program")) from None
        if len(content) > _MAX_ARTEFACT:
            raise CompileError(not_compiled(f"the compiled program has more than {_MAX_ARTEFACT} bytes"))
        return content

    def run_program(self, process_runner: ProcessRunner, artefact: int) -> int:
        """Become the program."""
        for number in _IGNORED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        kept = {name: os.environ[name] for name in ("LANG", "TZ", "HOME", "TMPDIR")}
        environment = {**kept, **self.environment(process_runner)}
        if self.toolchain.native:
            os.execve(artefact, [f"./{self.artefact_name}"], environment)
        self.unpack(os.pread(artefact, os.fstat(artefact).st_size, 0))
        command = [*self.run_command(process_runner)]
        os.execve(command[0], command, environment | origin_of(command[0]))

    def unpack(self, artefact: bytes) -> None:
        """Write what `run_command` runs into the current directory."""
        Path(self.artefact_name).write_bytes(artefact)

    def joined(self, candidate: str, test: str) -> str:
        """Program in which each brace of one is that of the other, or its own."""
        return joined_by_braces(candidate, test)

    def asserts(self, end: ProgramEnd) -> bool:
        """Return whether the run-time has printed that an assertion does not hold."""
        return has_failed_assertion(end, self.failure_patterns)

    def failure_reason(self, end: ProgramEnd) -> tuple[Verdict, VerdictReason]:
        """Verdict and reason by what the run-time has printed."""
        return failure_of(end, self.failure_patterns)

"""Contract of a programming language: compile programs, make calls, judge tests, run whole programs.

A language judges tests of functions (``judges_calls``), runs programs that read standard input
(``runs_programs``), or both. A test of functions runs in one process, with stand-ins for the functions that
it calls. The candidate runs in another process, which makes those calls. Only texts of plain data pass
between the two:

- a *call* is ``[function, arguments, keyword arguments]`` in the notation of ``execution/values.py`` or in
  the language's own variant of it;
- a *result* is a JSON array whose first element is a `ResultKind`;
- a *step message* is a JSON array whose first element is a `StepMessage`.

Two kinds of processes call a `Language`. The server process, the first one inside the sandbox, lives as
long as the runner; it calls the methods that take no result buffer. Each method that takes a result buffer
is called in a process of its own, forked for that one call, confined and watched. Its work is divided into
steps, numbered from 0: call ``buffer.begin(step)``, leave any number of texts with ``buffer.append(step,
text)``, then ``buffer.finish(step)``. The method may return before its last step; the remaining steps are
then given to another process. A process that exceeds a limit is killed, and the step that it was working on
counts as unfinished.

A program that reads standard input is compiled once, like any other source, and run once for each test of
kind ``STDIN``, in a process of its own (`Language.run_program`). Its input is file descriptor 0; what it
prints goes to the files behind 1 and 2. The server process reads these and the exit status after the
process has ended, and compares. The program's process leaves nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from testbudget.executors.execution.languages.program_runs import ProgramEnd, ProgramSample, program_failure
from testbudget.executors.execution.processes.process import Parts, ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.sandbox.toolchain import NO_TOOLCHAIN, Toolchain
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.rewards.verdict_reason import VerdictReason

CallPath = Sequence[tuple[str, str]]
"""Path: calls that a test makes one after the other, each with its result, as texts."""


class Source(NamedTuple):
    """Text of a program.

    Attributes:
        text: the program.
        kind: form of a test; ``STDIN`` for a candidate that is run as a program; None for a candidate whose
            functions are called.
    """

    text: str
    kind: TestKind | None


class Program(NamedTuple):
    """Compiled program, with properties found without running it.

    Attributes:
        content: compiled form of the language's choice.
        self_contained: True if it changes nothing that outlives it: no module but its own, no file, no
            setting of the interpreter. One process may then run it repeatedly.
        plain_calls: True for a test that seems to exchange only plain data with the candidate, so that
            `Language.judge` may judge it on the results of calls.
        functions: names that a test calls and does not define.
        other_names: names that a test uses in other ways and does not define. With a candidate that defines
            one of them, the test exchanges objects.
    """

    content: Any
    self_contained: bool
    plain_calls: bool = False
    functions: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()


class Connection(NamedTuple):
    """Two pipes between a judge process and a candidate process, seen from one of them.

    Attributes:
        reading: file descriptor to read from; at its end once the other process has ended.
        writing: file descriptor to write to.
    """

    reading: int
    writing: int


class LanguageSample(NamedTuple):
    """Programs with known verdicts, which ``testbudget doctor`` and the conformance suite run.

    ``right`` and ``test`` are filled by ``str.format`` with a number. It makes many distinct programs.

    Attributes:
        right: candidate that defines ``double``, which returns twice its argument.
        wrong: candidate that defines ``double`` wrongly; equal to ``right`` for no number from 3 on.
        looping: candidate whose ``double`` never returns.
        test: test of ``double`` with the number as its argument.
    """

    right: str
    wrong: str
    looping: str
    test: str


class CallJobs(NamedTuple):
    """Calls to make with a candidate, in jobs of one test each.

    Attributes:
        candidate: the candidate.
        number: number of jobs.
        calls: texts of the calls of each job. A call comes only after the result of the last one is out of
            the process's reach, as it may tell what that result should have been.
    """

    candidate: Program
    number: int
    calls: Parts


class Language(ABC):
    """Programming language; one instance serves all blocks of a sandbox.

    A method that takes a result buffer runs in a process of its own. All other methods run in the server
    process or in the fork server. They must neither execute nor parse candidates or tests. The class is
    created without arguments, in the caller too. Its modules import the standard library, testbudget and
    their own package alone, at their top.

    Attributes:
        judges_calls: True if tests of functions can be judged: `decode_program`, `defines_any`,
            `make_calls` and `judge` are implemented.
        runs_programs: True if programs that read standard input can be run: `run_program` is implemented.
        sample: programs with known verdicts; needed if ``judges_calls``.
        program_sample: programs that read standard input; needed if ``runs_programs``.
        tags: tags of fenced blocks with code in this language, beside its name.
        packages: installed Python packages that programs may import inside the sandbox.
        package_modules: top-level modules of the packages that the user has named; set inside the sandbox.
        programs: paths of executables that a process may execute in place of itself.
        toolchain: compilers, which `compile_sources` may start, and what the run-time of programs needs. If
            there are compilers, each source is compiled in a process of its own.
        judges_objects: True if `judge_objects`, `serve_objects` and `object_state` are implemented.
        judge_stays: True if `judge_objects` returns, so that its process may judge another pair.
        judges_in_same_process: True if `judge_in_same_process` is implemented.
    """

    judges_calls = True
    runs_programs = False
    sample: ClassVar[LanguageSample]
    program_sample: ClassVar[ProgramSample]
    tags: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    package_modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    toolchain: Toolchain = NO_TOOLCHAIN
    judges_objects = False
    judge_stays = False
    judges_in_same_process = False

    def what_is_missing(self) -> str | None:
        """Sentence on a compiler that this machine lacks, with the package to install; None if it has all.

        Called by the caller alone, before a sandbox is started.
        """
        return None

    def prepare(self) -> None:  # noqa: B027 - optional
        """Find ``programs`` and ``toolchain``, and make files that are made once per machine.

        Called by the caller alone, before each sandbox is started.

        Raises:
            UserError: the machine lacks something.
        """

    def preload(self) -> None:  # noqa: B027 - optional
        """Load what programs commonly need.

        Called once in the server process, before the first fork. All later processes inherit the result.
        """

    def rehearse(self, process_runner: ProcessRunner) -> None:  # noqa: B027 - optional
        """Do the work of processes with known programs, so that all processes inherit warm caches.

        Called once in the server process, before the first fork. It must leave nothing that a program could
        notice.

        Args:
            process_runner: runner of the processes.
        """

    def slow_imports(self, texts: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """Names of modules that take long to load, that a program may import and that are not loaded yet.

        Called in the server process, which never loads them, before each block. Searching the texts is
        allowed, parsing is not.
        """
        return ()

    def load_modules(self, names: Sequence[str]) -> None:  # noqa: B027 - optional
        """Load modules named by `slow_imports`.

        Called before the block in the fork servers of blocks that need such modules. Must ignore modules
        that are not installed.
        """

    @abstractmethod
    def compile_sources(
        self, buffer: ResultBuffer, sources: Sequence[Source], entry_point: str | None
    ) -> None:
        """Compile each source in a step of its own.

        Called in a process that compiles, possibly several times in the same one. A step leaves one text
        for `decode_program`, or ``NOT_COMPILED``. A source that ends the process, or whose step leaves no
        text, counts as one that does not compile.

        Args:
            buffer: result buffer of this process.
            sources: candidates and tests, in any order.
            entry_point: name of the function or class under test; None if unknown.
        """

    def decode_program(self, text: bytes) -> Program:
        """Program in a text that `compile_sources` has left.

        Called in the server process, and in each process that runs the program. Not called for sources of
        kind ``STDIN``.
        """
        raise NotImplementedError

    def run_program(self, process_runner: ProcessRunner, artefact: int) -> int:
        """Run a program that reads standard input; return its exit status, or become another program.

        Called in a process of its own, forked from the fork server of candidates, in an empty working
        directory, and only if ``runs_programs``. File descriptors 0, 1 and 2 are the input, the output and
        the standard error of the program. No other descriptor may be open to it, nor may anything of this
        process be visible that depends on an earlier run.

        Args:
            process_runner: names the working directory and the limits.
            artefact: descriptor of memory that holds the text that `compile_sources` has left. It cannot be
                written to. Its position is shared with earlier runs, so read it by ``os.pread`` alone, or
                execute it. It is closed on execution.
        """
        raise NotImplementedError

    def failure_reason(self, end: ProgramEnd) -> tuple[Verdict, VerdictReason]:
        """Verdict and reason of a program that did not exit with status 0; a pass counts as ``ERRORED``.

        Called in the server process. Limits that the supervisor has enforced are not asked about.
        """
        return program_failure(end)

    def joined(self, candidate: str, test: str) -> str:
        """Program of a candidate and a test of kind ``ASSERT``, for a language without ``judges_calls``.

        Called in the server process. The program passes if it exits with status 0.
        """
        return f"{candidate}\n{test}"

    def asserts(self, end: ProgramEnd) -> bool:  # noqa: ARG002
        """Return whether a program by `joined` ended because an assertion did not hold.

        Called in the server process.
        """
        return False

    def defines_any(self, candidate: Program, names: Sequence[str]) -> bool:
        """Return whether a candidate defines one of these names.

        Called in the server process.
        """
        raise NotImplementedError

    def defines_class(self, candidate: Program, names: Sequence[str]) -> bool:  # noqa: ARG002
        """Return whether a candidate defines a class by one of these names, whose calls give no plain data.

        Called in the server process.
        """
        return False

    def own_arguments(self, arguments: Sequence[Any]) -> Sequence[Any]:
        """Python's arguments in this language's notation, as JSON; NotPlainError if it lacks a value."""
        return arguments

    def make_calls(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,
        jobs: CallJobs,
        entry_point: str | None,
    ) -> None:
        """Load the candidate afresh for each job, in a step of its own, and make the job's calls.

        Called in a candidate process, forked from the fork server. A step takes its first call from
        ``jobs.calls`` before it loads the candidate and then calls ``buffer.mark_loaded()``. It leaves one
        result for each call before it takes the next. If the candidate cannot be loaded or does not define
        the entry point, the step leaves ``NOT_LOADED`` instead. A job without calls has an empty text as
        its only call, which is not made.

        Args:
            buffer: result buffer of this process.
            process_runner: cleans up the working directory between two steps.
            jobs: candidate and calls.
            entry_point: name that each candidate must define; None if unknown.
        """
        raise NotImplementedError

    def judge(self, buffer: ResultBuffer, replays: Sequence[tuple[Program, CallPath]]) -> None:
        """Run each test in a step of its own, with stand-ins that answer from its path.

        Called in a judge process, which never runs a candidate, and possibly several times in the same one:
        for a dry run, then for replays. It leaves nothing behind that could change a later verdict. A step
        leaves

        - ``VERDICT`` if the results of the path were enough;
        - ``MORE`` if the test made a call that the path does not hold;
        - ``OBJECTS`` if an argument or a result is not plain data.

        Args:
            buffer: result buffer of this process.
            replays: tests, each with the calls and results of one path; an empty path for a dry run.
        """
        raise NotImplementedError

    def judge_objects(
        self, buffer: ResultBuffer, connection: Connection, test: Program, entry_point: str | None
    ) -> bool:
        """Run a test in step 0, with proxies for the objects of a candidate in another process.

        Called in a judge process, which never loads a candidate, and only if ``judges_objects``. The
        candidate process at the other end may write anything at any time, or end; a process that wrote what
        it should not have, or has ended, never gives a pass. The step leaves ``VERDICT``, ``IF_EQUAL`` or,
        if the candidate could not be loaded, ``NOT_LOADED``.

        Args:
            buffer: result buffer of this process.
            connection: leads to a process that runs `serve_objects`.
            test: test to run.
            entry_point: name that the candidate must define; None if unknown.

        Returns:
            True if this process is as new, so that it may judge another pair.
        """
        raise NotImplementedError

    def serve_objects(
        self, buffer: ResultBuffer, connection: Connection, candidate: Program, entry_point: str | None
    ) -> None:
        """Load a candidate in step 0, then answer the requests of a judge process until it hangs up.

        Called in a candidate process of its own, and only if ``judges_objects``. The step leaves no text;
        it calls ``buffer.mark_loaded()`` once the candidate is loaded.

        Args:
            buffer: result buffer of this process.
            connection: leads to a process that runs `judge_objects`.
            candidate: candidate to load.
            entry_point: name that the candidate must define; None if unknown.
        """
        raise NotImplementedError

    def object_state(
        self, buffer: ResultBuffer, candidate: Program, script: str, entry_point: str | None
    ) -> None:
        """Load a candidate in step 0, repeat the requests of a script, and leave the state of an object.

        Called in a candidate process of its own, and only if ``judges_objects``. Two objects are equal if
        their texts are equal. If there is no state as plain data, the step leaves no text.

        Args:
            buffer: result buffer of this process.
            candidate: candidate to load.
            script: text from a message of `judge_objects`.
            entry_point: name that the candidate must define; None if unknown.
        """
        raise NotImplementedError

    def judge_in_same_process(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,
        candidate: Program,
        tests: Sequence[Program],
        entry_point: str | None,
    ) -> None:
        """Run each test in a step of its own, in the same process as the candidate.

        Called in a process of its own, and only if ``judges_in_same_process`` and the candidates are
        trusted (``execution.trust: honest``): nothing keeps a candidate from forging its verdict here. A
        step leaves ``NOT_LOADED`` or ``VERDICT``.

        Args:
            buffer: result buffer of this process.
            process_runner: cleans up the working directory between two steps.
            candidate: candidate to load afresh for each test.
            tests: tests to run one after the other.
            entry_point: name that the candidate must define; None if unknown.
        """
        raise NotImplementedError

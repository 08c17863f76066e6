"""What a language must bring so that its candidates can be judged by tests that they never meet.

The test runs in one process, with stand-ins for the functions that it calls; the candidate in another,
which makes those calls. Calls and results travel between them as texts of plain data:

- a *call* is ``[function, arguments, keyword arguments]``, in the notation of
  ``executors.execution.values`` or a variant of it;
- a *result* is a JSON array whose first element says what it is; see ``ResultKind``.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import TestKind

Path = Sequence[tuple[str, str]]
"""Calls that a test makes one after the other, each with its result."""


class ResultKind(StrEnum):
    """First element of a result.

    ``RETURNED``: followed by the value and, if the call changed its arguments or gave one of them back, by
    an object with these arguments. ``RAISED``: followed by the exception. ``OPAQUE``: the result is not
    plain data. ``ENDED``: the process ended instead; followed by the verdict on what needed the result.
    ``CUT_SHORT``: it is too long to be told to the runner; followed by its digest and its beginning.
    """

    RETURNED = "r"
    RAISED = "e"
    OPAQUE = "o"
    ENDED = "x"
    CUT_SHORT = "#"


class StepMessage(StrEnum):
    """First element of a text, a JSON array, that a step leaves beside calls and results.

    ``NOT_LOADED``: the candidate could not be loaded; followed by the verdict. ``VERDICT``: followed by the
    verdict, and by the number of results that it rests on, or by whether something else than the test may
    have decided it. ``MORE``: the test needs results of further calls; followed by the number of results
    used so far, and then, as texts of their own, by all calls of the path. ``TOGETHER``: the test cannot be
    judged apart from the candidate.
    """

    NOT_LOADED = "l"
    VERDICT = "v"
    MORE = "m"
    TOGETHER = "t"


class Source(NamedTuple):
    """A program's text; ``kind`` is None for a candidate."""

    text: str
    kind: TestKind | None


class Program(NamedTuple):
    """A program that compiles, and what can be told of it without running it.

    Attributes:
        content: what the language made of it.
        tidy: all that it changes seems to be its own, so that it can be run again in the same process.
        innocent: for a candidate: it has no means of changing anything but its own, so that another one can
            follow in the same process, and that a test can be believed that shares its interpreter.
        apart: for a test: it can be judged apart from the candidate.
        functions: names that a test calls and does not define.
        others: names that a test uses otherwise; a candidate that defines one must be judged together.
    """

    content: Any
    tidy: bool
    innocent: bool = False
    apart: bool = False
    functions: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


Job = tuple[Program, Sequence[str]]
"""A candidate and the calls to make of it."""


class Language(ABC):
    """A programming language.

    All methods whose first argument is an arena run in a process of their own, confined and watched: they
    work through steps, counted from 0, and leave texts there. All others run in the zygote, and must not
    execute, nor even parse, what others wrote.
    """

    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    shares_interpreter = False

    def preload(self) -> None:  # noqa: B027 - most have nothing to do
        """Load what programs commonly need, before the first process is forked."""

    def needs(self, texts: Sequence[str]) -> Sequence[str]:  # noqa: ARG002
        """Names of what else these programs seem to need."""
        return ()

    def load(self, names: Sequence[str]) -> None:  # noqa: B027
        """Load what :meth:`needs` has named; again is no harm."""

    @abstractmethod
    def read(self, buffer: ResultBuffer, sources: Sequence[Source], entry_point: str | None) -> None:
        """Compile each source, a step each, and leave what :meth:`program` takes, or nothing."""

    @abstractmethod
    def program(self, left: bytes) -> Program:
        """The program that :meth:`read` has left."""

    @abstractmethod
    def defines(self, candidate: Program, names: Sequence[str]) -> bool:
        """Whether a candidate defines one of these names."""

    @abstractmethod
    def make_calls(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,
        jobs: Sequence[Job],
        entry_point: str | None,
    ) -> None:
        """Load each job's candidate afresh, a step each, and leave the result of each of its calls.

        A candidate that does not load, or does not define the entry point, leaves ``NOT_LOADED``.
        """

    @abstractmethod
    def judge(self, buffer: ResultBuffer, plays: Sequence[tuple[Program, Path]]) -> None:
        """Run each test on its path, a step each, and leave ``VERDICT``, ``MORE`` or ``TOGETHER``."""

    def judge_together(
        self,
        buffer: ResultBuffer,
        process_runner: ProcessRunner,
        candidate: Program,
        tests: Sequence[Program],
        entry_point: str | None,
    ) -> None:
        """Run each test, a step each, in the interpreter of the candidate; leave a text as ``judge`` does.

        Only where ``shares_interpreter``.
        """
        raise NotImplementedError

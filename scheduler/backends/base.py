"""Contract of the back ends: they carry out work and nothing else.

The driver submits work in the order of the core's commands and waits for results. A back end decides
where and when each piece runs. It never decides what runs, and it never turns a failure of its own into a
verdict. ``testbudget.testing`` publishes the conformance suite that every back end passes.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.generation.base import Completion, Request
from testbudget.executors.metering import Usage
from testbudget.rewards.problem import Candidate, Problem, UnitTest
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.records import Piece


@dataclass(frozen=True, slots=True)
class GenerateWork:
    """Requests about one problem for a model.

    Attributes:
        key: returned with the result.
        model: ``POLICY_MODEL`` or ``REWARD_MODEL``.
        problem: id of the problem.
        requests: prompts with their seeds, one for each completion.
    """

    key: Hashable
    model: WorkerKind
    problem: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class ExtractWork:
    """Prompt of one problem for an extractor, which may batch several."""

    key: Hashable
    problem: str
    prompt: str


@dataclass(frozen=True, slots=True)
class ExecuteWork:
    """Tests of one problem to execute on some of its candidates.

    Attributes:
        key: returned with the result.
        problem: the problem.
        candidates: candidates to execute, each another program.
        tests: usable tests.
        record_outputs: True asks for the outputs of the candidates beside the verdicts.
        input_mutations: number of mutated inputs to execute beside each test.
        charged: False for work that the cap does not pay for, such as labels.
        standing: number of tests that each candidate has passed so far; empty if unknown.
        settle: True if no pair may be cut off before its full limit.
        wanted: for each candidate, True for the tests to execute; None for all.
    """

    key: Hashable
    problem: Problem
    candidates: tuple[Candidate, ...]
    tests: tuple[UnitTest, ...]
    record_outputs: bool = False
    input_mutations: int = 0
    charged: bool = True
    standing: tuple[int, ...] = ()
    settle: bool = False
    wanted: tuple[tuple[bool, ...], ...] | None = None


Work = GenerateWork | ExtractWork | ExecuteWork


@dataclass(frozen=True, slots=True)
class GenerationDone:
    """Completions, one for each request of the work, in their order."""

    work: GenerateWork
    completions: Sequence[Completion]
    piece: Piece


@dataclass(frozen=True, slots=True)
class ExtractionDone:
    """Hidden states of one problem with its share of the cost of its batch.

    Attributes:
        work: the work.
        states: hidden states of this one problem.
        cpu_seconds, gpu_seconds: its share; NaN if unmeasured.
        piece: when and where.
    """

    work: ExtractWork
    states: HiddenStates
    cpu_seconds: float
    gpu_seconds: float
    piece: Piece


@dataclass(frozen=True, slots=True)
class ExecutionDone:
    """Verdicts by candidate, then by test, in the order of the work."""

    work: ExecuteWork
    block_verdicts: BlockVerdicts
    piece: Piece


@dataclass(frozen=True, slots=True)
class WorkLost:
    """Work that the infrastructure lost, after the back end's own retries. It is no verdict.

    Attributes:
        work: the work.
        reason: sentence about the last loss.
        lethal: True if several workers died of this work alone, so that it must not be repeated.
    """

    work: Work
    reason: str
    lethal: bool = False


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """A new worker. ``number`` is unique in this back end; ``slice`` is a few seconds of its work."""

    number: int
    name: str
    kind: WorkerKind
    slice: Usage


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """Usage of a worker since it started, charged work only; ``slice`` as measured since."""

    number: int
    used: Usage
    slice: Usage


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """A worker that is gone. Its last report was the last that will come.

    Attributes:
        number: its number.
        complete: True if it was let go while idle, so that its reports hold all that it used.
    """

    number: int
    complete: bool = False


Report = (
    GenerationDone | ExtractionDone | ExecutionDone | WorkLost | WorkerStarted | WorkerReport | WorkerEnded
)


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Use of the workers of one kind at a moment.

    Attributes:
        workers: number of workers that are ready.
        busy: pieces of work in progress.
        queued: pieces that wait.
        starting: number of workers that were asked for and are not ready.
        started: number of workers that were ever ready.
        restarted: number of workers that were lost, and replaced where there was work.
        quarantined: pieces of work that several workers died of.
        waiting: sentence about workers that are waited for; empty if none is.
    """

    workers: int
    busy: int
    queued: int
    starting: int = 0
    started: int = 0
    restarted: int = 0
    quarantined: int = 0
    waiting: str = ""


class Backend(ABC):
    """Contract of a back end, used by one thread. A context manager that calls ``close``.

    Workers start when work for them is first submitted. A worker of a kind that the cap meters begins with
    a lease of nothing: it does no charged work until ``lease`` lets it, and stops by itself at the end of
    its lease. With ``metered=False`` given to the back end's constructor leases are without end.
    """

    @abstractmethod
    def submit(self, work: Work) -> None:
        """Queue a piece of work and return at once. Work of one kind starts in the order of submission."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> Sequence[Report]:
        """Block until there is something to report, and return all that there is.

        A report of usage precedes the result that it belongs to, so that what is told is charged.

        Args:
            timeout: seconds after which an empty sequence is returned; None waits without end.

        Raises:
            UserError: the job names something that cannot be used, for example a missing model.
            InfrastructureError: no worker of a kind can work.
        """

    @abstractmethod
    def lease(self, worker: int, until: Usage) -> None:
        """Let a worker use so much in all since it started. Never lowers an earlier lease."""

    @abstractmethod
    def abort(self, keys: Sequence[Hashable]) -> None:
        """Drop work with these keys: what is queued never starts, what is in progress may go unreported."""

    @abstractmethod
    def retire(self, kind: WorkerKind) -> None:
        """Let the workers of a kind go, and drop its work. Later work of the kind starts new workers."""

    def wind_down(self, kind: WorkerKind) -> None:  # noqa: B027 - optional
        """Take note that no more work of a kind will come than was submitted: idle workers can go."""

    @abstractmethod
    def isolation(self, language: str) -> str:
        """Sentence about the isolation layers of sandboxes for a language, and about missing ones."""

    @abstractmethod
    def tests_available(self, problem: Problem) -> int | None:
        """Number of tests that can be generated for a problem; None if unlimited."""

    @abstractmethod
    def pools(self) -> Mapping[WorkerKind, PoolUse]:
        """Present use of the workers, by kind."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """The back end's clock: seconds since it was created."""

    @abstractmethod
    def close(self) -> None:
        """Free all resources; work in progress is lost."""

    def __enter__(self) -> "Backend":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

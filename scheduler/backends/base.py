"""Contract of the back ends: generation and execution in any order, and upper bounds on their cost.

The same loop runs on ``RayBackend``, which does the work on a cluster, and on ``RecordedBackend``, which
takes results from a finished run on a simulated clock.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.generation.base import Completion, Request
from testbudget.rewards.problem import Candidate, Problem, UnitTest
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.records import Cost


class Role(StrEnum):
    """Model that a request is sent to."""

    POLICY_MODEL = "policy model"
    REWARD_MODEL = "reward model"


@dataclass(frozen=True, slots=True)
class Generate:
    """Work for a generator: requests about one problem.

    Attributes:
        role: the model.
        problem: id of the problem.
        requests: prompts with their seeds, one for each completion.
    """

    role: Role
    problem: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Execute:
    """Work for a runner: tests of one problem on some of its candidates.

    Attributes:
        problem: the problem.
        candidates: candidates to execute, each another program.
        tests: usable tests.
        record_outputs: True asks for the outputs of the candidates beside the verdicts.
        input_mutations: number of mutated inputs to execute beside each test.
    """

    problem: Problem
    candidates: tuple[Candidate, ...]
    tests: tuple[UnitTest, ...]
    record_outputs: bool
    input_mutations: int = 0


@dataclass(frozen=True, slots=True)
class Generated:
    """Result of a ``Generate`` task.

    Attributes:
        task: the task.
        completions: one for each request, in their order.
    """

    task: Generate
    completions: Sequence[Completion]


@dataclass(frozen=True, slots=True)
class Executed:
    """Result of an ``Execute`` task.

    Attributes:
        task: the task.
        block_verdicts: verdicts by candidate, then by test, in the order of the task.
    """

    task: Execute
    block_verdicts: BlockVerdicts


@dataclass(frozen=True, slots=True)
class ExtractedStates:
    """Result of the extraction of one batch.

    Attributes:
        problems: ids of the problems.
        states: hidden states in the order of the problems.
        cost: cost of the whole batch.
    """

    problems: tuple[str, ...]
    states: HiddenStates
    cost: Cost


class ExtractionBackend(ABC):
    """Contract of extraction: hidden states, batch by batch. A context manager that calls ``close``."""

    @property
    @abstractmethod
    def max_cost(self) -> Cost:
        """Upper bound on the cost of one batch."""

    @abstractmethod
    def submit(self, problems: Sequence[str], prompts: Sequence[str]) -> None:
        """Queue a batch and return at once.

        Args:
            problems: ids of the problems.
            prompts: prompt of each problem.
        """

    @abstractmethod
    def wait(self) -> Sequence[ExtractedStates]:
        """Block until at least one batch is done, and return all that are.

        Raises:
            UserError: the model, a layer or the engine cannot be used.
            InfrastructureError: a batch failed, its retries included.
        """

    @abstractmethod
    def close(self) -> None:
        """Free all resources; batches in flight are lost."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Backend(ABC):
    """Contract of a back end: generates and executes tests for one thread."""

    @abstractmethod
    def submit(self, task: Generate | Execute) -> None:
        """Queue a task and return at once."""

    @abstractmethod
    def wait(self) -> Sequence[Generated | Executed]:
        """Block until at least one submitted task is done, and return all that are.

        Raises:
            UserError: the job names something that cannot be used, for example a missing model.
            InfrastructureError: a task failed, its retries included.
        """

    @abstractmethod
    def hidden_states(self) -> ExtractionBackend:
        """Start extraction with the job's settings.

        Raises:
            UserError: the model cannot be loaded.
        """

    @abstractmethod
    def isolation(self, language: str) -> str:
        """Sentence about the isolation layers of sandboxes for a language, and about missing ones."""

    @abstractmethod
    def tests_available(self, problem: Problem) -> int | None:
        """Number of tests that can be generated for a problem; None if unlimited."""

    @abstractmethod
    def max_generation_cost(self) -> Cost:
        """Upper bound on the cost of generating one test."""

    @abstractmethod
    def max_execution_cost(self, candidates: int, tests: int) -> Cost:
        """Upper bound on the cost of executing tests on candidates as one task.

        The bound is at most ``tests`` times that of one test.
        """

    @abstractmethod
    def retire(self, role: Role) -> None:
        """Free the engines of a model that gets no further requests."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """The back end's clock: seconds since it was created."""

    @abstractmethod
    def close(self) -> None:
        """Free all resources; work in flight is lost."""

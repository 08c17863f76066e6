"""What the loop knows of the world: two kinds of work, done in any order, and what they can cost.

The same loop runs on ``RayBackend``, which does the work, and on ``RecordedBackend``, which looks it up in
a finished run on a simulated clock.
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
    """Which model is asked."""

    POLICY_MODEL = "policy model"
    REWARD_MODEL = "reward model"


@dataclass(frozen=True, slots=True)
class Generate:
    """Have a model answer some requests about one problem."""

    role: Role
    problem: str
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Execute:
    """Run tests of one problem on some of its candidates.

    Attributes:
        record: whether what the candidates do is wanted beside the verdicts.
        variations: of each test's inputs, to be run beside it.
    """

    problem: Problem
    candidates: tuple[Candidate, ...]
    tests: tuple[UnitTest, ...]
    record: bool
    input_mutations: int = 0


@dataclass(frozen=True, slots=True)
class Generated:
    """Answers to a ``Generate`` task, in the order of its requests."""

    task: Generate
    completions: Sequence[Completion]


@dataclass(frozen=True, slots=True)
class Executed:
    """Verdicts of an ``Execute`` task."""

    task: Execute
    outcomes: BlockVerdicts


@dataclass(frozen=True, slots=True)
class ExtractedStates:
    """Hidden states of a batch of problems, in their order, and what the batch cost."""

    problems: tuple[str, ...]
    states: HiddenStates
    cost: Cost


class ExtractionBackend(ABC):
    """Computes hidden states batch by batch; as a context, it is closed at the end."""

    @property
    @abstractmethod
    def worst(self) -> Cost:
        """Upper bound on the cost of one batch."""

    @abstractmethod
    def submit(self, problems: Sequence[str], prompts: Sequence[str]) -> None:
        """Takes a batch on and returns at once; problems are told by their ids."""

    @abstractmethod
    def wait(self) -> Sequence[ExtractedStates]:
        """Blocks until at least one batch is done.

        Raises:
            UserError: what was asked for cannot be had.
            InfrastructureError: a batch failed, its retries included.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees everything; batches in flight are lost."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Backend(ABC):
    """Does the loop's work. Used by one thread."""

    @abstractmethod
    def submit(self, task: Generate | Execute) -> None:
        """Takes a task on and returns at once, however much is queued already."""

    @abstractmethod
    def wait(self) -> Sequence[Generated | Executed]:
        """Blocks until at least one submitted task is done, and returns all that are.

        Raises:
            UserError: the job names something that cannot be used, such as a missing model.
            InfrastructureError: a task failed, its retries included.
        """

    @abstractmethod
    def hidden_states(self) -> ExtractionBackend:
        """Starts what computes hidden states, as the job says.

        Raises:
            UserError: the model cannot be had.
        """

    @abstractmethod
    def isolation(self, language: str) -> str:
        """What keeps programs of a language apart from the machine, and what is missing, in words."""

    @abstractmethod
    def tests_available(self, problem: Problem) -> int | None:
        """How many tests can be written for a problem; None if there is no end to them."""

    @abstractmethod
    def max_generation_cost(self) -> Cost:
        """Upper bound on the cost of having one test written."""

    @abstractmethod
    def max_execution_cost(self, candidates: int, tests: int) -> Cost:
        """Upper bound on the cost of running tests on candidates as one task.

        It is at most ``tests`` times that of one test.
        """

    @abstractmethod
    def retire(self, role: Role) -> None:
        """Frees what serves a model that will not be asked again."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """The back end's clock: seconds since it was made."""

    @abstractmethod
    def close(self) -> None:
        """Frees everything; work in flight is lost."""

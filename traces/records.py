"""What a run keeps of each problem, candidate, test and verdict: rows of the journal and of the tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.equivalence import impute_followers
from testbudget.rewards.outputs import Evidence, OutputMatrix, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, Candidate, Problem, Verdict
from testbudget.rewards.votes import Votes


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work costs. A quantity that nobody measured is NaN, never zero.

    Attributes:
        tests: unit tests asked of the reward model, usable or not.
        tokens: tokens generated for them.
        executions: (candidate, test) pairs run.
        cpu_seconds: CPU time of those runs.
        gpu_seconds: GPU-seconds of generation.
    """

    tests: float = 0
    tokens: float = 0
    executions: float = 0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(getattr(self, name) + getattr(other, name) for name in QUANTITIES))

    def __mul__(self, factor: float) -> "Cost":
        return Cost(*(getattr(self, name) * factor for name in QUANTITIES))

    @classmethod
    def total(cls, costs: Iterable["Cost"]) -> "Cost":
        """Sum of costs; nothing at all costs zero."""
        return sum(costs, cls())


QUANTITIES = tuple(f.name for f in fields(Cost))


DIMENSIONS = (*QUANTITIES, "usd")


class TestStatus(StrEnum):
    """What became of a test that the reward model wrote; all of them are charged."""

    __test__ = False  # pytest would collect it by its name

    USABLE = "usable"
    DUPLICATE = "duplicate"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class HiddenStatesRecord:
    """Hidden states of one problem's prompt, and its share of what its batch cost.

    Attributes:
        states: float16 (layers, width).
        truncated: whether the prompt was cut; None if nobody noted it.
        cpu_seconds, gpu_seconds: NaN where nobody measured.
    """

    states: NDArray[np.float16]
    truncated: bool | None
    cpu_seconds: float
    gpu_seconds: float


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """A candidate program, without the problem's own text where it starts with that.

    Attributes:
        text: the program, less the prompt if ``continues_prompt``.
        continues_prompt: whether the program is the problem's prompt followed by ``text``.
        tokens, gpu_seconds: what it cost; NaN seconds where nobody measured.
    """

    text: str
    continues_prompt: bool
    tokens: int
    gpu_seconds: float

    @classmethod
    def of(cls, problem: Problem, code: str, tokens: int, gpu_seconds: float) -> "CandidateRecord":
        """The record of a program, so that run tables do not repeat the problem's text."""
        if code.startswith(problem.prompt):
            return cls(code[len(problem.prompt) :], True, tokens, gpu_seconds)
        return cls(code, False, tokens, gpu_seconds)

    def candidate(self, problem: Problem, index: int) -> Candidate:
        """The whole program again, joined with the problem's text."""
        code = problem.prompt + self.text if self.continues_prompt else self.text
        return Candidate(problem.id, index, code, self.tokens)


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A block of tests that was booked: tests ``first`` to ``first + tests - 1`` of a problem."""

    problem: str
    first: int
    tests: int

    @property
    def indices(self) -> range:
        """Indices of the block's tests among all of the problem's."""
        return range(self.first, self.first + self.tests)


@dataclass(frozen=True, slots=True)
class HarmCheckRecord:
    """What was found when it was asked whether more tests still help a problem.

    Attributes:
        tests: that had been run by then.
        stops: whether it gets no more.
    """

    tests: int
    stops: bool


@dataclass(frozen=True, slots=True)
class TestRecord:
    """A test as the reward model wrote it (its whole answer), and what became of it.

    Attributes:
        status: what became of it.
        text: the answer.
        seed: what it was sampled with.
        tokens, gpu_seconds: what it cost; NaN where nobody counted.
    """

    __test__ = False

    status: TestStatus
    text: str
    seed: int
    tokens: float
    gpu_seconds: float


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """One test on the distinct candidates of its problem.

    Attributes:
        verdicts: uint8 (distinct candidates,), values of ``Verdict`` or ``NOT_RUN``.
        cpu_seconds: float32 (distinct candidates,).
        together: bool (distinct candidates,), whether candidate and test shared one interpreter.
        variations: inputs without an expected value that were run beside the test, on each candidate that
            it was run on; their CPU time is in ``cpu_seconds``.
    """

    verdicts: NDArray[np.uint8]
    cpu_seconds: NDArray[np.float32]
    same_process: NDArray[np.bool_]
    input_mutations: int = 0


@dataclass(frozen=True, slots=True)
class DistinctPrograms:
    """Which candidates of a problem are the same program, so that each program runs once.

    Attributes:
        representatives: intp (distinct,), the first candidate of each program, ascending.
        inverse: intp (candidates,), the position of each candidate's program in ``representatives``.
    """

    representatives: NDArray[np.intp]
    inverse: NDArray[np.intp]

    @classmethod
    def among(cls, candidates: Sequence[CandidateRecord]) -> "DistinctPrograms":
        """Groups candidates of one problem whose text is equal but for white space at its end."""
        first: dict[tuple[bool, str], int] = {}
        groups = [
            first.setdefault((record.continues_prompt, record.text.rstrip()), index)
            for index, record in enumerate(candidates)
        ]
        representatives, inverse = np.unique(np.asarray(groups, dtype=np.intp), return_inverse=True)
        return cls(representatives, inverse)


def votes_of(verdicts: Mapping[int, VerdictRecord], distinct: DistinctPrograms) -> Votes:
    """The votes of a problem's executed tests, in the order of their indices.

    Candidates that are the same program vote alike.
    """
    votes = Votes(len(distinct.inverse))
    for _, record in sorted(verdicts.items()):
        row = record.verdicts[distinct.inverse]
        votes.add(row == Verdict.PASSED, row != NOT_RUN)
    return votes


def evidence_of(
    verdicts: Mapping[int, VerdictRecord],
    distinct: DistinctPrograms,
    recorded_outputs: RecordedOutputs | None,
) -> Evidence:
    """What a problem's executed tests show, in the order of their indices.

    Programs that were left out since another one stands for them are taken to have done as that one did
    (``rewards.likeness.impute_followers``).

    Args:
        verdicts: by test index.
        distinct: which of the candidates are the same program.
        behaviour: of the distinct candidates; None if it was not recorded, or is not asked for.
    """
    votes = votes_of(verdicts, distinct)
    if recorded_outputs is None:
        return Evidence(votes)
    return impute_followers(
        Evidence(votes, OutputMatrix.of(recorded_outputs, distinct.inverse, sorted(verdicts)))
    )


# ~ """One problem while it is being solved: the problem, its candidates, and the programs among them."""


@dataclass(frozen=True, slots=True)
class ProblemCandidates:
    """A problem with its candidates.

    Attributes:
        distinct: which of the candidates are the same program.
        programs: one candidate for each distinct program.
    """

    problem: Problem
    candidates: tuple[Candidate, ...]
    distinct: DistinctPrograms
    programs: tuple[Candidate, ...]

    @classmethod
    def of(cls, problem: Problem, records: Sequence[CandidateRecord]) -> "ProblemCandidates":
        """Joins recorded candidates with their problem."""
        candidates = tuple(record.candidate(problem, index) for index, record in enumerate(records))
        distinct = DistinctPrograms.among(records)
        return cls(problem, candidates, distinct, tuple(candidates[i] for i in distinct.representatives))


def writing_cost(record: TestRecord) -> Cost:
    """What one written test cost, usable or not."""
    return Cost(tests=1, tokens=record.tokens, gpu_seconds=record.gpu_seconds)


def execution_cost(record: VerdictRecord) -> Cost:
    """What running one test, and what was run beside it, on a problem's programs cost."""
    run = int(np.count_nonzero(record.verdicts != NOT_RUN))
    return Cost(
        executions=run * (1 + record.input_mutations),
        cpu_seconds=float(record.cpu_seconds.sum(dtype=np.float64)),
    )


def extraction_cost(record: HiddenStatesRecord) -> Cost:
    """What one problem's hidden states cost."""
    return Cost(cpu_seconds=record.cpu_seconds, gpu_seconds=record.gpu_seconds)

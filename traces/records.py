"""Records of problems, candidates, tests and verdicts, as kept by the event log and the tables of a run."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.equivalence import impute_followers
from testbudget.rewards.outputs import Evidence, OutputMatrix, RecordedOutputs
from testbudget.rewards.problem import NO_PROGRAM, NOT_RUN, Candidate, Problem, TestKind, Verdict
from testbudget.rewards.votes import Votes


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a piece of work. An unmeasured quantity is NaN, never zero.

    Attributes:
        tests: generated unit tests, usable or not.
        tokens: generated tokens.
        executions: executed (candidate, test) pairs.
        cpu_seconds: CPU-seconds of executions and of extracting hidden states.
        gpu_seconds: GPU-seconds of generation and of extracting hidden states.
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

    def usd(self, prices: Mapping[str, float]) -> float:
        """The cost in US dollars, at prices per unit; a quantity without a price is free.

        Tokens of prompts are not part of a cost: NaN if they have a price.
        """
        amounts = (price * getattr(self, name, math.nan) for name, price in prices.items() if price > 0)
        return float(sum(amounts))

    @classmethod
    def total(cls, costs: Iterable["Cost"]) -> "Cost":
        """Sum of costs; zero if there are none."""
        return sum(costs, cls())


QUANTITIES = tuple(f.name for f in fields(Cost))
"""Names of the quantities of a cost."""


class TestStatus(StrEnum):
    """Status of a generated test. All generated tests are charged."""

    __test__ = False  # pytest would collect it by its name

    USABLE = "usable"
    DUPLICATE = "duplicate"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class HiddenStatesRecord:
    """Hidden states of one problem's prompt, and its share of the cost of its batch.

    Attributes:
        states: float16 (layers, width).
        truncated: True if the prompt was cut; None if unknown.
        cpu_seconds, gpu_seconds: NaN if unmeasured.
    """

    states: NDArray[np.float16]
    truncated: bool | None
    cpu_seconds: float
    gpu_seconds: float


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """A candidate program, without the problem's prompt if it starts with the prompt.

    Attributes:
        text: the program, without the prompt if ``continues_prompt``.
        continues_prompt: True if the program is the problem's prompt followed by ``text``.
        tokens: generated tokens.
        gpu_seconds: GPU-seconds of its generation; NaN if unmeasured.
        notes: remarks on how the model's answer was read, such as ``NO_PROGRAM``.
        metadata: JSON of the other fields of its row in a file; empty if there are none.
        mean_logprob: mean log-probability of its tokens under the model that wrote it; None if unknown.
    """

    text: str
    continues_prompt: bool
    tokens: int
    gpu_seconds: float
    notes: tuple[str, ...] = ()
    metadata: str = ""
    mean_logprob: float | None = None

    @classmethod
    def of(
        cls,
        problem: Problem,
        code: str,
        tokens: int,
        gpu_seconds: float,
        notes: Iterable[str] = (),
        metadata: str = "",
        mean_logprob: float | None = None,
    ) -> "CandidateRecord":
        """Record of a candidate, with the prompt split off if the code starts with it."""
        continues = code.startswith(problem.prompt)
        text = code[len(problem.prompt) :] if continues else code
        return cls(text, continues, tokens, gpu_seconds, tuple(notes), metadata, mean_logprob)

    @property
    def has_program(self) -> bool:
        """False for an answer of a model without a program."""
        return NO_PROGRAM not in self.notes

    def candidate(self, problem: Problem, index: int) -> Candidate:
        """The whole program, joined with the problem's prompt."""
        code = problem.prompt + self.text if self.continues_prompt else self.text
        return Candidate(problem.id, index, code, self.tokens)


@dataclass(frozen=True, slots=True)
class TestRecord:
    """A generated test.

    Attributes:
        status: usable, duplicate or unusable.
        text: the reward model's whole answer, or the code of a test that was given.
        seed: sampling seed.
        tokens, gpu_seconds: cost of its generation; NaN if unmeasured.
        kind: form of a test that was given; None if the text is an answer.
        metadata: JSON of the other fields of its row in a file; empty if there are none.
        mean_logprob: mean log-probability of the answer's tokens under the model that wrote it; None if
            unknown.
        form: 63-bit digest of the normal form of a test that is not unusable, by which duplicates are
            known; 0 if unknown. The log holds it, the tables do not.
    """

    __test__ = False

    status: TestStatus
    text: str
    seed: int
    tokens: float
    gpu_seconds: float
    kind: TestKind | None = None
    metadata: str = ""
    mean_logprob: float | None = None
    form: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """Verdicts of one test on the distinct programs of its problem.

    Attributes:
        verdicts: uint8 (programs,), values of ``Verdict`` or ``NOT_RUN``.
        cpu_seconds: float32 (programs,), input mutations included.
        same_process: bool (programs,), True if candidate and test shared one interpreter.
        input_mutations: number of mutated inputs that each program was also run on. They have no expected
            output.
    """

    verdicts: NDArray[np.uint8]
    cpu_seconds: NDArray[np.float32]
    same_process: NDArray[np.bool_]
    input_mutations: int = 0


@dataclass(frozen=True, slots=True)
class WrittenInputs:
    """Inputs without expected values that a model wrote for a problem.

    Attributes:
        answer: the model's answer; its status says whether it holds inputs.
        executed: programs that were called on them, with the cost; None if they were not executed.
        tests: tests that the problem had before.
    """

    answer: TestRecord
    executed: VerdictRecord | None
    tests: int

    @property
    def complete(self) -> bool:
        """False if the cap was used up, or the work was lost, before the inputs were executed."""
        return self.executed is not None or self.answer.status is not TestStatus.USABLE


@dataclass(frozen=True, slots=True)
class Piece:
    """Worker and times of a piece of work, in seconds on the back end's clock.

    Attributes:
        worker: name of the worker.
        submitted, started, finished: times; ``started`` is when a worker began with it.
    """

    worker: str
    submitted: float
    started: float
    finished: float


@dataclass(frozen=True, slots=True)
class DistinctPrograms:
    """The distinct programs among a problem's candidates; each is executed once.

    Attributes:
        representatives: intp (programs,), the first candidate of each program, ascending.
        inverse: intp (candidates,), position of each candidate's program in ``representatives``.
    """

    representatives: NDArray[np.intp]
    inverse: NDArray[np.intp]

    @classmethod
    def among(cls, candidates: Sequence[CandidateRecord]) -> "DistinctPrograms":
        """Group candidates of one problem by text, ignoring white space at its end.

        Answers without a program are one group.
        """
        first: dict[tuple[bool, str | None], int] = {}
        groups = [
            first.setdefault(
                (record.continues_prompt, record.text.rstrip()) if record.has_program else (False, None),
                index,
            )
            for index, record in enumerate(candidates)
        ]
        representatives, inverse = np.unique(np.asarray(groups, dtype=np.intp), return_inverse=True)
        return cls(representatives, inverse)


def votes_of(verdicts: Mapping[int, VerdictRecord], distinct: DistinctPrograms) -> Votes:
    """Votes of a problem's executed tests, in the order of their indices.

    Candidates with the same program have the same votes.
    """
    if not verdicts:
        return Votes(len(distinct.inverse))
    codes = np.stack([record.verdicts for _, record in sorted(verdicts.items())])[:, distinct.inverse]
    return Votes.from_matrix(codes == Verdict.PASSED, codes != NOT_RUN)


def evidence_of(
    verdicts: Mapping[int, VerdictRecord],
    distinct: DistinctPrograms,
    recorded_outputs: RecordedOutputs | None,
) -> Evidence:
    """Evidence of a problem's executed tests, in the order of their indices.

    A program that was not run because another one represents it gets the representative's results
    (:func:`~testbudget.rewards.equivalence.impute_followers`).

    Args:
        verdicts: verdicts by test index.
        distinct: the distinct programs among the candidates.
        recorded_outputs: outputs of the distinct programs; None if not recorded or not needed.
    """
    votes = votes_of(verdicts, distinct)
    if recorded_outputs is None:
        return Evidence(votes)
    return impute_followers(
        Evidence(votes, OutputMatrix.of(recorded_outputs, distinct.inverse, sorted(verdicts)))
    )


@dataclass(frozen=True, slots=True)
class ProblemCandidates:
    """A problem with its candidates.

    Attributes:
        problem: the problem.
        candidates: candidates in order of index.
        distinct: the distinct programs among the candidates.
        programs: the first candidate of each distinct program, in order of index.
        shown: candidates that prompts show: those whose answers hold a program; all if none does.
    """

    problem: Problem
    candidates: tuple[Candidate, ...]
    distinct: DistinctPrograms
    programs: tuple[Candidate, ...]
    shown: tuple[Candidate, ...]

    @classmethod
    def of(cls, problem: Problem, records: Sequence[CandidateRecord]) -> "ProblemCandidates":
        """Join recorded candidates with their problem."""
        candidates = tuple(record.candidate(problem, index) for index, record in enumerate(records))
        distinct = DistinctPrograms.among(records)
        programs = tuple(candidates[i] for i in distinct.representatives)
        pairs = zip(candidates, records, strict=True)
        shown = tuple(candidate for candidate, record in pairs if record.has_program)
        return cls(problem, candidates, distinct, programs, shown or candidates)


def inputs_cost(written: WrittenInputs | None) -> Cost:
    """Cost of written inputs, usable or not, and of their execution; zero without any."""
    if written is None:
        return Cost()
    executed = Cost() if written.executed is None else execution_cost(written.executed)
    return generation_cost(written.answer) + executed


def generation_cost(record: TestRecord) -> Cost:
    """Cost of generating one test, usable or not."""
    return Cost(tests=1, tokens=record.tokens, gpu_seconds=record.gpu_seconds)


def executions_of(record: VerdictRecord) -> int:
    """Number of executions of one test and its input mutations on a problem's programs."""
    return int(np.count_nonzero(record.verdicts != NOT_RUN)) * (1 + record.input_mutations)


def execution_cost(record: VerdictRecord) -> Cost:
    """Cost of executing one test and its input mutations on a problem's programs."""
    return Cost(
        executions=executions_of(record),
        cpu_seconds=float(record.cpu_seconds.sum(dtype=np.float64)),
    )


def extraction_cost(record: HiddenStatesRecord) -> Cost:
    """Cost of one problem's hidden states."""
    return Cost(cpu_seconds=record.cpu_seconds, gpu_seconds=record.gpu_seconds)

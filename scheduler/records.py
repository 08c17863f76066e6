"""What a run keeps of each problem, candidate, test and verdict: rows of the journal and of the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rewards.behaviour import Behaviour
from rewards.evidence import Evidence, Outputs
from rewards.likeness import followed
from rewards.problem import NOT_RUN, Candidate, Problem, Verdict
from rewards.votes import Votes


class TestStatus(StrEnum):
    """What became of a test that the reward model wrote; all of them are charged."""

    __test__ = False  # pytest would collect it by its name

    USABLE = "usable"
    DUPLICATE = "duplicate"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class StatesRecord:
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
class GrantRecord:
    """A block of tests that was booked: tests ``first`` to ``first + tests - 1`` of a problem."""

    problem: str
    first: int
    tests: int

    @property
    def indices(self) -> range:
        """Indices of the block's tests among all of the problem's."""
        return range(self.first, self.first + self.tests)


@dataclass(frozen=True, slots=True)
class LookRecord:
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
    together: NDArray[np.bool_]
    variations: int = 0


@dataclass(frozen=True, slots=True)
class Distinct:
    """Which candidates of a problem are the same program, so that each program runs once.

    Attributes:
        representatives: intp (distinct,), the first candidate of each program, ascending.
        inverse: intp (candidates,), the position of each candidate's program in ``representatives``.
    """

    representatives: NDArray[np.intp]
    inverse: NDArray[np.intp]

    @classmethod
    def among(cls, candidates: Sequence[CandidateRecord]) -> "Distinct":
        """Groups candidates of one problem whose text is equal but for white space at its end."""
        first: dict[tuple[bool, str], int] = {}
        groups = [
            first.setdefault((record.continues_prompt, record.text.rstrip()), index)
            for index, record in enumerate(candidates)
        ]
        representatives, inverse = np.unique(np.asarray(groups, dtype=np.intp), return_inverse=True)
        return cls(representatives, inverse)


def votes_of(verdicts: Mapping[int, VerdictRecord], distinct: Distinct) -> Votes:
    """The votes of a problem's executed tests, in the order of their indices.

    Candidates that are the same program vote alike.
    """
    votes = Votes(len(distinct.inverse))
    for _, record in sorted(verdicts.items()):
        row = record.verdicts[distinct.inverse]
        votes.add(row == Verdict.PASSED, row != NOT_RUN)
    return votes


def evidence_of(
    verdicts: Mapping[int, VerdictRecord], distinct: Distinct, behaviour: Behaviour | None
) -> Evidence:
    """What a problem's executed tests show, in the order of their indices.

    Programs that were left out since another one stands for them are taken to have done as that one did
    (``rewards.likeness.followed``).

    Args:
        verdicts: by test index.
        distinct: which of the candidates are the same program.
        behaviour: of the distinct candidates; None if it was not recorded, or is not asked for.
    """
    votes = votes_of(verdicts, distinct)
    if behaviour is None:
        return Evidence(votes)
    return followed(Evidence(votes, Outputs.of(behaviour, distinct.inverse, sorted(verdicts))))

"""One problem while it is being solved: the problem, its candidates, and the programs among them."""

from collections.abc import Sequence
from dataclasses import dataclass

from rewards.problem import Candidate, Problem
from scheduler.records import CandidateRecord, Distinct


@dataclass(frozen=True, slots=True)
class Solving:
    """A problem with its candidates.

    Attributes:
        distinct: which of the candidates are the same program.
        programs: one candidate for each distinct program.
    """

    problem: Problem
    candidates: tuple[Candidate, ...]
    distinct: Distinct
    programs: tuple[Candidate, ...]

    @classmethod
    def of(cls, problem: Problem, records: Sequence[CandidateRecord]) -> "Solving":
        """Joins recorded candidates with their problem."""
        candidates = tuple(record.candidate(problem, index) for index, record in enumerate(records))
        distinct = Distinct.among(records)
        return cls(problem, candidates, distinct, tuple(candidates[i] for i in distinct.representatives))

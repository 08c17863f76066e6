"""The figures of a finished run; every number in a report or on the terminal comes from here."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewards.accuracy import expected_accuracy
from rewards.behaviour import Behaviour
from rewards.problem import NOT_RUN, Verdict
from scheduler.analysis.leading import Leading, leading
from scheduler.behaviours import read_behaviours
from scheduler.job import Job, load_job
from scheduler.ledger import Cap, Cost, Ledger
from scheduler.loop import execution_cost, writing_cost
from scheduler.picks import Pick, picks
from scheduler.records import Distinct, TestStatus
from scheduler.tables import read_trace
from scheduler.trace import ProblemTrace


@dataclass(frozen=True, slots=True)
class ProblemSummary:
    """What a run did for one problem.

    Attributes:
        candidates, programs: candidates, and distinct programs among them.
        pass_rate: share of candidates that are right; None without labels.
        predicted_pass_rate: what the run started from; NaN without a predictor.
        tests: written tests by what became of them.
        verdicts: executed pairs by verdict.
        not_run: pairs left out, of candidates that could no longer win or kept timing out.
        together: executed pairs in which the test shared an interpreter with the candidate.
        accuracy: expected accuracy of the pick over remaining ties; None without labels.
        tests_passed: by the pick.
        leading: what the candidates do; None if that was not recorded.
    """

    problem: str
    candidates: int
    programs: int
    pass_rate: float | None
    predicted_pass_rate: float
    tests: Counter[TestStatus]
    verdicts: Counter[Verdict]
    not_run: int
    together: int
    cost: Cost
    accuracy: float | None
    tests_passed: int
    leading: Leading | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to.

    Attributes:
        directory: where it lies.
        job: as resolved.
        cap: its cap.
        problems: one by one.
        spent: all together.
        usd: the same at the cap's prices.
    """

    directory: Path
    job: Job
    cap: Cap
    problems: Sequence[ProblemSummary]
    spent: Cost
    usd: float

    @property
    def accuracy(self) -> float | None:
        """Mean expected accuracy of the picks over labelled problems; None if there are none."""
        return _mean([problem.accuracy for problem in self.problems])

    @property
    def pass_at_1(self) -> float | None:
        """Accuracy without test-time compute: of one random candidate."""
        return _mean([problem.pass_rate for problem in self.problems])

    @property
    def solvable(self) -> float | None:
        """Accuracy that no selection can pass: the share of problems with a right candidate."""
        return _mean([None if p.pass_rate is None else float(p.pass_rate > 0) for p in self.problems])

    @property
    def tests(self) -> Counter[TestStatus]:
        """Written tests by what became of them."""
        return sum((problem.tests for problem in self.problems), Counter[TestStatus]())

    @property
    def verdicts(self) -> Counter[Verdict]:
        """Executed pairs by verdict."""
        return sum((problem.verdicts for problem in self.problems), Counter[Verdict]())

    @property
    def not_run(self) -> float:
        """Share of the pairs of usable tests and programs that did not have to be run."""
        left_out = sum(problem.not_run for problem in self.problems)
        return _share(left_out, left_out + self.verdicts.total())

    @property
    def together(self) -> float:
        """Share of the executed pairs in which the test shared an interpreter with the candidate."""
        return _share(sum(problem.together for problem in self.problems), self.verdicts.total())

    @property
    def behaviours(self) -> float | None:
        """Mean number of groups that the candidates of a problem fall into by what they do."""
        return _mean([float(p.leading.behaviours) if p.leading else None for p in self.problems])


def summarise(directory: Path) -> RunSummary:
    """Reads a finished run.

    Raises:
        UserError: the directory is no finished run.
    """
    trace = read_trace(directory)
    job = load_job(directory / "job.yaml")
    behaviours = read_behaviours(directory)
    problems = [
        _summarise_problem(trace.problems[pick.problem], pick, behaviours.get(pick.problem))
        for pick in picks(job, trace, behaviours.get)
    ]
    spent = Cost.total(problem.cost for problem in problems)
    cap = job.cap.as_cap()
    return RunSummary(directory, job, cap, problems, spent, Ledger(Cap({}, cap.prices), spent).spent_usd)


def _summarise_problem(seen: ProblemTrace, pick: Pick, behaviour: Behaviour | None) -> ProblemSummary:
    distinct = Distinct.among(seen.candidates)
    verdicts = np.concatenate(
        [record.verdicts for record in seen.verdicts.values()] or [np.empty(0, np.uint8)]
    )
    return ProblemSummary(
        pick.problem,
        len(seen.candidates),
        len(distinct.representatives),
        None if seen.correct is None else float(seen.correct.mean()),
        seen.predicted_pass_rate,
        Counter(record.status for record in seen.tests.values()),
        Counter(Verdict(verdict) for verdict in verdicts[verdicts != NOT_RUN].tolist()),
        int(np.count_nonzero(verdicts == NOT_RUN)),
        sum(
            int(np.count_nonzero(record.together & (record.verdicts != NOT_RUN)))
            for record in seen.verdicts.values()
        ),
        seen.extraction
        + Cost.total(map(writing_cost, seen.tests.values()))
        + Cost.total(map(execution_cost, seen.verdicts.values())),
        None if seen.correct is None else expected_accuracy(pick.winners, seen.correct),
        pick.tests_passed,
        leading(behaviour, distinct, pick.candidate) if behaviour else None,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

"""The figures of a finished run; every number in a report or on the terminal comes from here."""

import functools
import math
import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewards.accuracy import expected_accuracy
from rewards.behaviour import Behaviour
from rewards.problem import NOT_RUN, Verdict
from rewards.quality import Quality, quality, quality_together
from rewards.stopping import Outlook
from scheduler.analysis.leading import Leading, leading
from scheduler.behaviours import read_behaviours
from scheduler.calibrating import calibration_of
from scheduler.job import Job
from scheduler.job_file import load_job
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
        probability: that the pick is right, without ground truth.
        abstained: whether that is less than the job wants.
        outlook: what more tests would do to the pick.
        single: quality of its tests, over the pairs run; None without labels.
        combined: quality of all its tests as one; None without labels.
        expected_single, expected_combined: the same as estimated without labels.
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
    probability: float
    abstained: bool
    outlook: Outlook
    single: Quality | None
    combined: Quality | None
    expected_single: Quality
    expected_combined: Quality
    leading: Leading | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to.

    Attributes:
        directory: where it lies.
        job: as resolved.
        calibration: where probabilities were learned from.
        cap: its cap.
        problems: one by one.
        spent: all together.
        usd: the same at the cap's prices.
    """

    directory: Path
    job: Job
    calibration: str
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
    def expected_accuracy(self) -> float:
        """Accuracy of the picks as estimated without labels."""
        return float(np.mean([problem.probability for problem in self.problems]))

    @property
    def coverage(self) -> float:
        """Share of the problems whose pick is not abstained."""
        return _share(len(self._covered), len(self.problems))

    @property
    def covered_accuracy(self) -> float | None:
        """Accuracy of the picks that are not abstained; None if none of them is labelled."""
        return _mean([problem.accuracy for problem in self._covered])

    @property
    def overoptimised(self) -> Sequence[ProblemSummary]:
        """Problems where more tests are likelier to harm than to help, the worst first."""
        found = [problem for problem in self.problems if problem.outlook.overoptimised]
        return sorted(found, key=lambda problem: -problem.outlook.harms)

    @property
    def single(self) -> Quality | None:
        """Quality of single tests, over all pairs of labelled problems; None without labels."""
        return _total([problem.single for problem in self.problems if problem.single])

    @property
    def combined(self) -> Quality | None:
        """Quality of each problem's tests as one, over all candidates of labelled problems."""
        return _total([problem.combined for problem in self.problems if problem.combined])

    @property
    def expected_single(self) -> Quality | None:
        """See :attr:`single`, as estimated without labels."""
        return _total([problem.expected_single for problem in self.problems])

    @property
    def expected_combined(self) -> Quality | None:
        """See :attr:`combined`, as estimated without labels."""
        return _total([problem.expected_combined for problem in self.problems])

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

    @property
    def _covered(self) -> Sequence[ProblemSummary]:
        return [problem for problem in self.problems if not problem.abstained]


def summarise(directory: Path) -> RunSummary:
    """Reads a finished run.

    Raises:
        UserError: the directory is no finished run.
    """
    trace = read_trace(directory)
    job = load_job(directory / "job.yaml")
    behaviours, calibration = read_behaviours(directory), calibration_of(directory)
    problems = [
        _summarise_problem(trace.problems[pick.problem], pick, behaviours.get(pick.problem))
        for pick in picks(job, trace, behaviours.get, calibration)
    ]
    spent = Cost.total(problem.cost for problem in problems)
    cap = job.cap.as_cap()
    usd = Ledger(Cap({}, cap.prices), spent).spent_usd
    return RunSummary(directory, job, calibration.source, cap, problems, spent, usd)


def _summarise_problem(seen: ProblemTrace, pick: Pick, behaviour: Behaviour | None) -> ProblemSummary:
    distinct, votes = Distinct.among(seen.candidates), pick.evidence.votes
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
        pick.probability,
        pick.abstained,
        pick.outlook,
        None if seen.correct is None else quality(votes, seen.correct),
        None if seen.correct is None else quality_together(pick.winners, seen.correct),
        quality(votes, pick.beliefs),
        quality_together(pick.winners, pick.beliefs),
        leading(behaviour, distinct, pick.candidate) if behaviour else None,
    )


def _total(parts: Sequence[Quality]) -> Quality | None:
    return functools.reduce(operator.add, parts) if parts else None


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

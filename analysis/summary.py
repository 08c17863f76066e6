"""Figures of a finished run: one summary per problem, and totals of the run."""

import functools
import math
import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from testbudget.analysis.leading_groups import LeadingGroups, leading_groups
from testbudget.analysis.verdict_reasons import ReasonCounts, count_cut_pairs, count_reasons
from testbudget.analysis.view.finished_run import FinishedRun, read_finished_run
from testbudget.rewards.outputs import RecordedOutputs
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.quality import (
    TestQuality,
    accuracy_of_winners,
    combined_test_quality,
    single_test_quality,
)
from testbudget.scheduler.core.events import Cap
from testbudget.scheduler.job import Job
from testbudget.scheduler.picks import Pick
from testbudget.traces.pair_reasons import PairReasons
from testbudget.traces.records import (
    QUANTITIES,
    Cost,
    DistinctPrograms,
    TestStatus,
    execution_cost,
    generation_cost,
    inputs_cost,
)
from testbudget.traces.trace import ProblemTrace


@dataclass(frozen=True, slots=True)
class ProblemSummary:
    """Figures of one problem.

    Attributes:
        problem: id of the problem.
        candidates: number of candidates.
        programs: number of distinct programs among them.
        without_program: number of candidates whose answer holds no program.
        pass_rate: share of correct candidates, in [0, 1]; None without labels.
        predicted_pass_rate: pass rate predicted before the first test; NaN without a predictor.
        tests: number of generated tests by status.
        verdicts: number of executed (candidate, test) pairs by verdict.
        not_run: number of pairs that were not run: of eliminated candidates, and of candidates with too
            many timeouts.
        passes_on_trust: number of pairs that passed in one process with the candidate, which only trust
            ``honest`` counts.
        cut_pairs: number of pairs that were cut off before their full limit.
        reasons: number of unconfirmed and errored pairs by verdict and reason.
        cost: cost of tests, executions and hidden states; NaN if unmeasured.
        accuracy: share of correct candidates among the tied winners; None without labels.
        tests_passed: number of tests that the pick passed.
        p_correct: probability that the pick is correct, estimated without labels.
        abstained: True if ``p_correct`` is below the job's threshold.
        test_effect: effect of more tests on the pick.
        single: quality of single tests, over the executed pairs; None without labels.
        combined: quality of all tests as one; None without labels.
        expected_single: quality of single tests, estimated without labels.
        expected_combined: quality of all tests as one, estimated without labels.
        leading_groups: the largest output groups; None if outputs were not recorded.
    """

    problem: str
    candidates: int
    programs: int
    without_program: int
    pass_rate: float | None
    predicted_pass_rate: float
    tests: Counter[TestStatus]
    verdicts: Counter[Verdict]
    not_run: int
    passes_on_trust: int
    cut_pairs: int
    reasons: ReasonCounts
    cost: Cost
    accuracy: float | None
    tests_passed: int
    p_correct: float
    abstained: bool
    test_effect: TestEffect
    single: TestQuality | None
    combined: TestQuality | None
    expected_single: TestQuality
    expected_combined: TestQuality
    leading_groups: LeadingGroups | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Figures of a run.

    Attributes:
        directory: directory of the run.
        job: the resolved job.
        confidence_source: origin of the models behind ``p_correct``.
        cap: cap of the run.
        problems: one summary per problem.
        spent: total cost as charged to the cap, else of all tests and executions; NaN if unmeasured.
        usd: total cost in US dollars, at the prices of the cap; NaN if unmeasured.
        lost: leases of workers that were lost, charged in full; by quantity.
        cut_tasks: number of tasks that the end of the cap cut off.
        lost_tasks: number of tasks that the infrastructure failed too often.
        prompt_tokens: tokens of prompts to a server, lost leases included; 0 without one.
    """

    directory: Path
    job: Job
    confidence_source: str
    cap: Cap
    problems: Sequence[ProblemSummary]
    spent: Cost
    usd: float
    lost: Cost = field(default_factory=Cost)
    cut_tasks: int = 0
    lost_tasks: int = 0
    prompt_tokens: float = 0.0

    @property
    def accuracy(self) -> float | None:
        """Mean expected accuracy of the picks over labelled problems; None without any."""
        return _mean([problem.accuracy for problem in self.problems])

    @property
    def pass_at_1(self) -> float | None:
        """Accuracy of one random candidate, without any test; None without labels."""
        return _mean([problem.pass_rate for problem in self.problems])

    @property
    def solvable(self) -> float | None:
        """Share of problems with a correct candidate, the upper bound of accuracy; None without labels."""
        return _mean([None if p.pass_rate is None else float(p.pass_rate > 0) for p in self.problems])

    @property
    def estimated_accuracy(self) -> float:
        """Mean p_correct of the picks: their accuracy as estimated without labels."""
        return float(np.mean([problem.p_correct for problem in self.problems]))

    @property
    def coverage(self) -> float:
        """Share of problems whose pick is not abstained."""
        return _share(len(self._covered), len(self.problems))

    @property
    def covered_accuracy(self) -> float | None:
        """Accuracy of the picks that are not abstained; None if no such problem is labelled."""
        return _mean([problem.accuracy for problem in self._covered])

    @property
    def harmful(self) -> Sequence[ProblemSummary]:
        """Problems where more tests are likelier to harm the pick than to help, by descending p_harm."""
        found = [problem for problem in self.problems if problem.test_effect.harmful]
        return sorted(found, key=lambda problem: -problem.test_effect.p_harm)

    @property
    def judged_alike(self) -> Sequence[ProblemSummary]:
        """Problems whose ground truth judges several distinct programs alike: all right, or all wrong."""
        return [
            problem for problem in self.problems if problem.programs > 1 and problem.pass_rate in (0, 1)
        ]

    @property
    def without_program(self) -> int:
        """Number of candidates whose answer holds no program."""
        return sum(problem.without_program for problem in self.problems)

    @property
    def single(self) -> TestQuality | None:
        """Quality of single tests, over all executed pairs of labelled problems; None without labels."""
        return _total([problem.single for problem in self.problems if problem.single])

    @property
    def combined(self) -> TestQuality | None:
        """Quality of all tests as one, over all candidates of labelled problems; None without labels."""
        return _total([problem.combined for problem in self.problems if problem.combined])

    @property
    def expected_single(self) -> TestQuality | None:
        """Quality of single tests, estimated without labels."""
        return _total([problem.expected_single for problem in self.problems])

    @property
    def expected_combined(self) -> TestQuality | None:
        """Quality of all tests as one, estimated without labels."""
        return _total([problem.expected_combined for problem in self.problems])

    @property
    def tests(self) -> Counter[TestStatus]:
        """Number of generated tests by status."""
        return sum((problem.tests for problem in self.problems), Counter[TestStatus]())

    @property
    def verdicts(self) -> Counter[Verdict]:
        """Number of executed pairs by verdict."""
        return sum((problem.verdicts for problem in self.problems), Counter[Verdict]())

    @property
    def not_run(self) -> float:
        """Share of the pairs of usable tests and distinct programs that were not run; NaN without pairs."""
        left_out = sum(problem.not_run for problem in self.problems)
        return _share(left_out, left_out + self.verdicts.total())

    @property
    def passes_on_trust(self) -> int:
        """Number of pairs that passed in one process with the candidate, and count on trust."""
        return sum(problem.passes_on_trust for problem in self.problems)

    @property
    def cut_pairs(self) -> int:
        """Number of pairs that were cut off before their full limit."""
        return sum(problem.cut_pairs for problem in self.problems)

    @property
    def reasons(self) -> ReasonCounts:
        """Number of unconfirmed and errored pairs by verdict and reason."""
        return sum((problem.reasons for problem in self.problems), ReasonCounts())

    @property
    def output_groups(self) -> float | None:
        """Mean number of output groups per problem; None if outputs were not recorded."""
        groups = [problem.leading_groups for problem in self.problems]
        return _mean([float(one.count) if one else None for one in groups])

    @property
    def _covered(self) -> Sequence[ProblemSummary]:
        return [problem for problem in self.problems if not problem.abstained]


def summarise(directory: Path) -> RunSummary:
    """Read and summarise a finished run.

    Raises:
        UserError: the directory holds no finished run.
    """
    return summarise_run(read_finished_run(directory))


def summarise_run(run: FinishedRun) -> RunSummary:
    """Summarise a finished run."""
    job, trace = run.job, run.trace
    problems = [
        _summarise_problem(
            trace.problems[pick.problem],
            pick,
            run.outputs.get(pick.problem),
            run.reasons.get(pick.problem),
        )
        for pick in run.picks.values()
    ]
    spent, lost = Cost.total(problem.cost for problem in problems), Cost()
    usd = spent.usd(job.unit_prices)
    prompt_tokens = 0.0
    cap = Cap(job.cap.limits, job.unit_prices)
    info = run.info
    if info is not None and info.books:
        spent, lost = (
            Cost(*(info.books[state][name] for name in QUANTITIES)) for state in ("spent", "lost")
        )
        usd, prompt_tokens = (
            sum(info.books[state].get(name, 0.0) for state in ("spent", "lost"))
            for name in ("usd", "prompt_tokens")
        )
    return RunSummary(
        run.directory,
        job,
        run.confidence_models.source,
        cap,
        problems,
        spent,
        usd,
        lost,
        len(info.cut_tasks) if info else 0,
        len(info.lost_tasks) if info else 0,
        prompt_tokens,
    )


def _summarise_problem(
    seen: ProblemTrace,
    pick: Pick,
    recorded_outputs: RecordedOutputs | None,
    recorded_reasons: PairReasons | None,
) -> ProblemSummary:
    distinct, votes = DistinctPrograms.among(seen.candidates), pick.evidence.votes
    correct, records = seen.correct, list(seen.verdicts.values())
    verdicts = np.concatenate([record.verdicts for record in records] or [np.empty(0, np.uint8)])
    return ProblemSummary(
        problem=pick.problem,
        candidates=len(seen.candidates),
        programs=len(distinct.representatives),
        without_program=sum(not record.has_program for record in seen.candidates),
        pass_rate=None if correct is None else float(correct.mean()),
        predicted_pass_rate=seen.predicted_pass_rate,
        tests=Counter(record.status for record in seen.tests.values()),
        verdicts=Counter(Verdict(verdict) for verdict in verdicts[verdicts != NOT_RUN].tolist()),
        not_run=int(np.count_nonzero(verdicts == NOT_RUN)),
        passes_on_trust=sum(
            int(np.count_nonzero(record.same_process & (record.verdicts == Verdict.PASSED)))
            for record in records
        ),
        cut_pairs=count_cut_pairs(recorded_reasons),
        reasons=count_reasons(seen.verdicts, recorded_reasons),
        cost=seen.extraction
        + Cost.total(map(generation_cost, seen.tests.values()))
        + Cost.total(map(execution_cost, records))
        + inputs_cost(seen.written_inputs),
        accuracy=None if correct is None else accuracy_of_winners(pick.winners, correct),
        tests_passed=pick.tests_passed,
        p_correct=pick.p_correct,
        abstained=pick.abstained,
        test_effect=pick.test_effect,
        single=None if correct is None else single_test_quality(votes, correct),
        combined=None if correct is None else combined_test_quality(pick.winners, correct),
        expected_single=single_test_quality(votes, pick.p_correct_of_each),
        expected_combined=combined_test_quality(pick.winners, pick.p_correct_of_each),
        leading_groups=(
            leading_groups(recorded_outputs, distinct, pick.candidate) if recorded_outputs else None
        ),
    )


def _total(parts: Sequence[TestQuality]) -> TestQuality | None:
    return functools.reduce(operator.add, parts) if parts else None


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

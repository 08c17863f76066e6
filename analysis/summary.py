"""The figures of a finished run; every number in a report or on the terminal comes from here."""

import functools
import json
import math
import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from testbudget.executors.execution.output_digests import readable_value
from testbudget.rewards.outputs import NO_RESULT, CallEnding, RecordedCall, RecordedOutputs, output_groups
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.quality import TestQuality, combined_test_quality, expected_accuracy, test_quality
from testbudget.scheduler.budget import Budget, Cap
from testbudget.scheduler.fitting.confidence import confidence_models_of
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.picks import Pick, picks
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import Cost, DistinctPrograms, TestStatus, execution_cost, writing_cost
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import ProblemTrace

"""What the largest groups of candidates do, on the input that tells them apart: for people to look at."""

_MOST = 3  # groups that are shown
_ENDINGS = {
    CallEnding.TIMED_OUT: "timed out",
    CallEnding.OUT_OF_MEMORY: "ran out of memory",
    CallEnding.KILLED: "was killed",
    CallEnding.OPAQUE: "no plain data",
}


@dataclass(frozen=True, slots=True)
class OutputGroup:
    """Candidates that behave alike.

    Attributes:
        candidates: how many.
        picked: whether the pick is one of them.
        gave: an example of what they gave back.
    """

    candidates: int
    picked: bool
    gave: str


@dataclass(frozen=True, slots=True)
class LeadingGroups:
    """The groups that a problem's candidates fall into by what they do.

    Attributes:
        behaviours: how many groups.
        call: the shortest of the inputs on which most of the largest groups differ.
        groups: the largest, in order of size.
    """

    outputs_by_problem: int
    call: str
    output_groups: tuple[OutputGroup, ...]


def leading_groups(
    recorded_outputs: RecordedOutputs, distinct: DistinctPrograms, pick: int
) -> LeadingGroups:
    """Looks at a behaviour of distinct programs, for the candidates that they are.

    Args:
        behaviour: its rows are the distinct programs; with at least one input.
        distinct: which candidates they are.
        pick: the candidate picked.
    """
    members = output_groups(recorded_outputs)
    sizes = np.bincount(members[distinct.inverse])
    largest = np.argsort(-sizes, kind="stable")[:_MOST]
    # What a group did on an input is what any of its members did, as far as they are known.
    did = np.stack([recorded_outputs.results[members == group].max(axis=0) for group in largest])
    most_telling = max(
        range(did.shape[1]),
        key=lambda position: (
            len(set(did[:, position].tolist()) - {NO_RESULT}),
            len(set(did[:2, position].tolist())),
            -len(recorded_outputs.inputs[position].arguments),
        ),
    )
    return LeadingGroups(
        len(sizes),
        _call(recorded_outputs.inputs[most_telling]),
        tuple(
            OutputGroup(
                int(sizes[group]),
                bool(members[distinct.inverse[pick]] == group),
                _gave(recorded_outputs, int(output)),
            )
            for group, output in zip(largest, did[:, most_telling], strict=True)
        ),
    )


def _gave(recorded_outputs: RecordedOutputs, result: int) -> str:
    if result == NO_RESULT:
        return "not called"
    output = recorded_outputs.outputs[result]
    return _ENDINGS.get(output.ending, output.example)


def _call(item: RecordedCall) -> str:
    arguments, named = json.loads(item.arguments)
    texts = [readable_value(value) for value in arguments]
    texts += [f"{name}={readable_value(value)}" for name, value in named.get("dict", [])]
    return f"{item.function}({', '.join(texts)})"


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
    same_process: int
    cost: Cost
    accuracy: float | None
    tests_passed: int
    probability: float
    abstained: bool
    test_effect: TestEffect
    single: TestQuality | None
    combined: TestQuality | None
    expected_single: TestQuality
    expected_combined: TestQuality
    leading_groups: LeadingGroups | None


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
    confidence_models: str
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
    def harmful(self) -> Sequence[ProblemSummary]:
        """Problems where more tests are likelier to harm than to help, the worst first."""
        found = [problem for problem in self.problems if problem.test_effect.harmful]
        return sorted(found, key=lambda problem: -problem.test_effect.p_harm)

    @property
    def single(self) -> TestQuality | None:
        """Quality of single tests, over all pairs of labelled problems; None without labels."""
        return _total([problem.single for problem in self.problems if problem.single])

    @property
    def combined(self) -> TestQuality | None:
        """Quality of each problem's tests as one, over all candidates of labelled problems."""
        return _total([problem.combined for problem in self.problems if problem.combined])

    @property
    def expected_single(self) -> TestQuality | None:
        """See :attr:`single`, as estimated without labels."""
        return _total([problem.expected_single for problem in self.problems])

    @property
    def expected_combined(self) -> TestQuality | None:
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
    def same_process(self) -> float:
        """Share of the executed pairs in which the test shared an interpreter with the candidate."""
        return _share(sum(problem.same_process for problem in self.problems), self.verdicts.total())

    @property
    def outputs_by_problem(self) -> float | None:
        """Mean number of groups that the candidates of a problem fall into by what they do."""
        return _mean(
            [
                float(p.leading_groups.outputs_by_problem) if p.leading_groups else None
                for p in self.problems
            ]
        )

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
    outputs_by_problem, confidence_models = read_outputs(directory), confidence_models_of(directory)
    problems = [
        _summarise_problem(trace.problems[pick.problem], pick, outputs_by_problem.get(pick.problem))
        for pick in picks(job, trace, outputs_by_problem.get, confidence_models)
    ]
    spent = Cost.total(problem.cost for problem in problems)
    cap = job.cap.as_cap()
    usd = Budget(Cap({}, cap.prices), spent).spent_usd
    return RunSummary(directory, job, confidence_models.source, cap, problems, spent, usd)


def _summarise_problem(
    seen: ProblemTrace, pick: Pick, recorded_outputs: RecordedOutputs | None
) -> ProblemSummary:
    distinct, votes = DistinctPrograms.among(seen.candidates), pick.evidence.votes
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
            int(np.count_nonzero(record.same_process & (record.verdicts != NOT_RUN)))
            for record in seen.verdicts.values()
        ),
        seen.extraction
        + Cost.total(map(writing_cost, seen.tests.values()))
        + Cost.total(map(execution_cost, seen.verdicts.values())),
        None if seen.correct is None else expected_accuracy(pick.winners, seen.correct),
        pick.tests_passed,
        pick.probability,
        pick.abstained,
        pick.test_effect,
        None if seen.correct is None else test_quality(votes, seen.correct),
        None if seen.correct is None else combined_test_quality(pick.winners, seen.correct),
        test_quality(votes, pick.beliefs),
        combined_test_quality(pick.winners, pick.beliefs),
        leading_groups(recorded_outputs, distinct, pick.candidate) if recorded_outputs else None,
    )


def _total(parts: Sequence[TestQuality]) -> TestQuality | None:
    return functools.reduce(operator.add, parts) if parts else None


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

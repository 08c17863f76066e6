"""Assessment of problems while tests come in: p_wrong of picks, surviving candidates, harm of more tests.

All of it follows from the log, so a resumed run comes to the same results as one that was not interrupted.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.confidence.model import ConfidenceModels, p_correct_of_pick
from testbudget.rewards.elimination import end_of_rung, rung_of, survivors
from testbudget.rewards.outputs import BatchStatistics, Evidence, RecordedOutputs, spread_over_candidates
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.problem import NOT_RUN
from testbudget.rewards.seeds import problem_fold
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import BatchContribution, batch_contribution, combine_batch
from testbudget.scheduler.event_log import EventLog
from testbudget.traces.records import (
    HarmCheckRecord,
    ProblemCandidates,
    TaskRecord,
    VerdictRecord,
    evidence_of,
)

_MIN_CHECKED_TESTS = 5  # fewer tests say too little about harm


class PickConfidence:
    """p_wrong of each problem's pick, from the problem's own tests.

    Statistics of the batch are left out. They depend on which other tests have been executed by now, and a
    resumed run must compute the same p_wrong.

    Args:
        problems: the methods name a problem by its position in this list.
        event_log: log of the run.
        rule: selection rule that picks.
        confidence_models: models of p_correct.
    """

    def __init__(
        self,
        problems: Sequence[ProblemCandidates],
        event_log: EventLog,
        rule: SelectionRule,
        confidence_models: ConfidenceModels,
    ) -> None:
        self._problems = problems
        self._event_log = event_log
        self._rule = rule
        self._confidence_models = confidence_models

    def p_wrong(self, position: int) -> float:
        """Probability that the candidate that would be picked now is wrong."""
        item = self._problems[position]
        evidence = evidence_so_far(item, self._event_log)
        winners = self._rule.winners(evidence)
        fold = problem_fold(item.problem.content_hash)
        return 1 - p_correct_of_pick(evidence, self._rule, winners, self._confidence_models, fold)


def evidence_so_far(item: ProblemCandidates, event_log: EventLog) -> Evidence:
    """Evidence from the tests of one problem so far, without statistics of the batch."""
    problem = item.problem.id
    return evidence_of(event_log.verdicts[problem], item.distinct, event_log.recorded_outputs_of(problem))


@dataclass(frozen=True, slots=True)
class EliminationRule:
    """Condition under which a program is eliminated; see ``rewards.elimination.survivors``.

    Attributes:
        rule: selection rule that determines the leader.
        z: threshold in standard deviations; None for the default of the rule.
    """

    rule: SelectionRule
    z: float | None


class CandidateElimination:
    """The programs of each problem that further tests are executed on.

    An eliminated program is not executed again. Elimination at the start of a rung depends only on the
    problem's results before it.

    Args:
        problems: the methods name a problem by its position in this list.
        elimination: rule that eliminates; None eliminates no program.
        recorded_outputs_of: outputs of the distinct programs of a problem, by its id, on its tests so
            far and possibly on later ones; None if they were not recorded.
    """

    def __init__(
        self,
        problems: Sequence[ProblemCandidates],
        elimination: EliminationRule | None,
        recorded_outputs_of: Callable[[str], RecordedOutputs | None],
    ) -> None:
        self._problems = problems
        self._rule = elimination
        self._recorded_outputs_of = recorded_outputs_of
        self._verdicts_used = [0] * len(problems)
        self._survivors = [np.arange(len(item.programs)) for item in problems]

    def programs(self, position: int) -> NDArray[np.intp]:
        """Surviving programs, as positions among the problem's distinct programs, intp (survivors,)."""
        return self._survivors[position]

    def rungs(self, tests: Iterable[int]) -> list[list[int]]:
        """Test indices of one problem, split into rungs; a single rung if nothing is eliminated."""
        if self._rule is None:
            every = list(tests)
            return [every] if every else []
        return [list(rung) for _, rung in itertools.groupby(tests, rung_of)]

    def update(self, position: int, verdicts: Mapping[int, VerdictRecord]) -> None:
        """Eliminate programs by a problem's verdicts so far; without new verdicts nothing changes."""
        if self._rule is None or len(verdicts) == self._verdicts_used[position]:
            return
        self._verdicts_used[position] = len(verdicts)
        item, rule = self._problems[position], self._rule.rule
        recorded_outputs = self._recorded_outputs_of(item.problem.id)
        candidates = np.isin(item.distinct.inverse, self._survivors[position])
        still = survivors(
            evidence_of(verdicts, item.distinct, recorded_outputs), candidates, rule, self._rule.z
        )
        self._survivors[position] = np.flatnonzero(still[item.distinct.representatives])

    def restore(
        self, position: int, tasks: Iterable[TaskRecord], verdicts: Mapping[int, VerdictRecord]
    ) -> None:
        """Repeat the eliminations of an earlier part of the run, rung by rung."""
        for task in tasks:
            for tests in self.rungs(task.indices):
                before = {index: record for index, record in verdicts.items() if index < tests[0]}
                self.update(position, before)

    def over_all_programs(self, position: int, block: BlockVerdicts) -> BlockVerdicts:
        """Verdicts of the survivors as rows among all distinct programs; the others are ``NOT_RUN``."""
        programs = self._survivors[position]
        shape = (len(self._problems[position].programs), block.verdicts.shape[1])
        verdicts = np.full(shape, NOT_RUN, np.uint8)
        verdicts[programs] = block.verdicts
        cpu_seconds, wall_seconds = np.zeros((2, *shape), np.float32)
        cpu_seconds[programs], wall_seconds[programs] = block.cpu_seconds, block.wall_seconds
        same_process = np.zeros(shape, np.bool_)
        same_process[programs] = block.same_process
        return BlockVerdicts(
            verdicts=verdicts,
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            same_process=same_process,
            recorded_outputs=block.recorded_outputs
            and spread_over_candidates(block.recorded_outputs, programs, shape[0]),
            input_mutations=block.input_mutations,
        )


class HarmStop:
    """Harm checks at the end of each rung. A problem is closed if more tests would harm its pick.

    A check uses statistics of the whole batch, which change whenever more tests are executed. Its result is
    therefore logged and never computed twice.

    Args:
        problems: the methods name a problem by its position in this list.
        event_log: log of the run.
        rule: selection rule that picks.
        confidence_models: models of p_gain and p_harm.
        pass_rates: predicted pass rates, float64 (problems,); NaN where not predicted.
    """

    def __init__(
        self,
        problems: Sequence[ProblemCandidates],
        event_log: EventLog,
        rule: SelectionRule,
        confidence_models: ConfidenceModels,
        pass_rates: NDArray[np.float64],
    ) -> None:
        self._problems = problems
        self._event_log = event_log
        self._rule = rule
        self._confidence_models = confidence_models
        self._pass_rates = pass_rates
        self._contributions: list[BatchContribution | None] = [None] * len(problems)

    def tests_to_check(self, granted: int) -> int:
        """Number of tests until the next check of a problem that has ``granted`` tests."""
        return end_of_rung(granted) - granted

    def check(self) -> list[int]:
        """Check each problem that got tests since its last check. No task may be in flight.

        Returns:
            Positions of all problems that get no more tests, including those found earlier.
        """
        changed = [
            position
            for position, contribution in enumerate(self._contributions)
            if contribution is None or self._tests(position) >= contribution.shape[1]
        ]
        for position in changed:
            self._contributions[position] = batch_contribution(
                evidence_so_far(self._problems[position], self._event_log)
            )
        if due := [position for position in changed if self._is_due(position)]:
            batch = combine_batch([part for part in self._contributions if part is not None])
            with self._event_log.transaction():
                for position in due:
                    stops = self._test_effect(position, batch).harmful
                    check = HarmCheckRecord(self._tests(position), stops)
                    self._event_log.add_harm_check(self._problems[position].problem.id, check)
        stopped = {problem for problem, check in self._event_log.harm_checks.items() if check.stops}
        return [position for position, item in enumerate(self._problems) if item.problem.id in stopped]

    def _tests(self, position: int) -> int:
        return len(self._event_log.verdicts[self._problems[position].problem.id])

    def _is_due(self, position: int) -> bool:
        tests = self._tests(position)
        last = self._event_log.harm_checks.get(self._problems[position].problem.id)
        return tests >= _MIN_CHECKED_TESTS and (last is None or (tests > last.tests and not last.stops))

    def _test_effect(self, position: int, batch: BatchStatistics) -> TestEffect:
        return TestEffect.of(
            replace(evidence_so_far(self._problems[position], self._event_log), batch=batch),
            self._rule,
            confidence_models=self._confidence_models,
            fold=problem_fold(self._problems[position].problem.content_hash),
            pass_rate=float(self._pass_rates[position]),
        )

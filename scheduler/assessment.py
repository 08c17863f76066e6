"""How the pick of each problem stands while its tests come in."""

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
from testbudget.scheduler.log import EventLog
from testbudget.traces.records import (
    HarmCheckRecord,
    ProblemCandidates,
    TaskRecord,
    VerdictRecord,
    evidence_of,
)


class PickConfidence:
    """What a problem's own tests say of its pick so far.

    What other problems' tests say of it is left out: that depends on what else has been run by now, and a
    resumed run is to see what an undisturbed one saw.

    Args:
        problems: positions in this list are what the methods speak of.
        journal: has what was seen of them.
        rule: picks.
        calibration: what signs of a good pick are worth.
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
        """Chance that the candidate that would be picked now is wrong."""
        solving = self._problems[position]
        evidence = evidence_so_far(solving, self._event_log)
        winners = self._rule.winners(evidence)
        fold = problem_fold(solving.problem.content_hash)
        return 1 - p_correct_of_pick(evidence, self._rule, winners, self._confidence_models, fold)


def evidence_so_far(solving: ProblemCandidates, event_log: EventLog) -> Evidence:
    """What a problem's own tests have shown by now."""
    problem = solving.problem.id
    return evidence_of(
        event_log.verdicts[problem], solving.distinct, event_log.recorded_outputs_of(problem)
    )


# ~ """The race on each problem: on which of its programs the next tests are run."""


@dataclass(frozen=True, slots=True)
class EliminationRule:
    """How programs fall out of a race.

    Attributes:
        rule: says who leads.
        z: see ``rewards.racing.survivors``.
    """

    rule: SelectionRule
    z: float | None


class CandidateElimination:
    """Who can still win, problem by problem.

    Whoever falls out stays out. Who does follows from what was seen of the problem before each heat alone,
    so a resumed run leaves out the same programs as one that was not interrupted.

    Args:
        problems: positions in this list are what the methods speak of.
        racing: None keeps every program in.
        behaviour_of: what the programs of a problem, by its id, did on tests so far, and maybe on later
            ones; None if it was not recorded.
    """

    def __init__(
        self,
        problems: Sequence[ProblemCandidates],
        racing: EliminationRule | None,
        recorded_outputs_of: Callable[[str], RecordedOutputs | None],
    ) -> None:
        self._problems = problems
        self._racing = racing
        self._behaviour_of = recorded_outputs_of
        self._seen = [0] * len(problems)
        self._in_race = [np.arange(len(solving.programs)) for solving in problems]

    def programs(self, position: int) -> NDArray[np.intp]:
        """Positions of the programs that can still win, among the problem's."""
        return self._in_race[position]

    def rungs(self, tests: Iterable[int]) -> list[list[int]]:
        """Tests of one problem, by index, in parts during which nobody falls out."""
        if self._racing is None:
            whole = list(tests)
            return [whole] if whole else []
        return [list(part) for _, part in itertools.groupby(tests, rung_of)]

    def update(self, position: int, verdicts: Mapping[int, VerdictRecord]) -> None:
        """Drops who can no longer win, by a problem's verdicts so far; the same ones are looked at once."""
        if self._racing is None or len(verdicts) == self._seen[position]:
            return
        self._seen[position] = len(verdicts)
        solving, rule = self._problems[position], self._racing.rule
        recorded_outputs = self._behaviour_of(solving.problem.id)
        racing = np.isin(solving.distinct.inverse, self._in_race[position])
        still = survivors(
            evidence_of(verdicts, solving.distinct, recorded_outputs), racing, rule, self._racing.z
        )
        self._in_race[position] = np.flatnonzero(still[solving.distinct.representatives])

    def restore(
        self, position: int, grants: Iterable[TaskRecord], verdicts: Mapping[int, VerdictRecord]
    ) -> None:
        """Runs the race of an earlier part of the run again, heat by heat."""
        for grant in grants:
            for tests in self.rungs(grant.indices):
                before = {index: record for index, record in verdicts.items() if index < tests[0]}
                self.update(position, before)

    def over_all(self, position: int, outcomes: BlockVerdicts) -> BlockVerdicts:
        """Outcomes of the programs in the race as rows among those of all of the problem's programs."""
        programs = self._in_race[position]
        shape = (len(self._problems[position].programs), outcomes.verdicts.shape[1])
        verdicts = np.full(shape, NOT_RUN, np.uint8)
        verdicts[programs] = outcomes.verdicts
        cpu_seconds, wall_seconds = np.zeros((2, *shape), np.float32)
        cpu_seconds[programs], wall_seconds[programs] = outcomes.cpu_seconds, outcomes.wall_seconds
        same_process = np.zeros(shape, np.bool_)
        same_process[programs] = outcomes.same_process
        return BlockVerdicts(
            verdicts=verdicts,
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            same_process=same_process,
            recorded_outputs=outcomes.recorded_outputs
            and spread_over_candidates(outcomes.recorded_outputs, programs, shape[0]),
            input_mutations=outcomes.input_mutations,
        )


# ~ """Which problems get no more tests, since these are likelier to harm their picks than to help."""


_FIRST = 5
"""Tests before which little can be said."""


class HarmStop:
    """Looks at problems while their tests come in, and stops those that are over-optimised.

    Bad tests show in a whole batch rather than in one problem, and a batch looks different whenever more
    has been run. So every look is journalled, and none is taken twice: a resumed run stops the same
    problems as an undisturbed one.

    Args:
        problems: positions in this list are what the methods speak of.
        journal: has what was seen of them.
        rule: picks.
        calibration: what signs of over-optimisation are worth.
        pass_rates: predicted, shape (problems,); NaN where nothing was.
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
        self._parts: list[BatchContribution | None] = [None] * len(problems)

    def tests_to_look(self, granted: int) -> int:
        """How many more tests a problem that has so many may get before it must be looked at."""
        return end_of_rung(granted) - granted

    def look(self) -> list[int]:
        """Looks at each problem that has had more tests since it was looked at.

        To be called when nothing is in flight.

        Returns:
            Positions of all problems that get no more tests, those found earlier among them.
        """
        changed = [
            position
            for position, part in enumerate(self._parts)
            if part is None or self._tests(position) >= part.shape[1]
        ]
        for position in changed:
            self._parts[position] = batch_contribution(
                evidence_so_far(self._problems[position], self._event_log)
            )
        if due := [position for position in changed if self._is_due(position)]:
            batch = combine_batch([part for part in self._parts if part is not None])
            with self._event_log.transaction():
                for position in due:
                    stops = self._test_effect(position, batch).harmful
                    look = HarmCheckRecord(self._tests(position), stops)
                    self._event_log.add_look(self._problems[position].problem.id, look)
        stopped = {problem for problem, look in self._event_log.looks.items() if look.stops}
        return [
            position for position, solving in enumerate(self._problems) if solving.problem.id in stopped
        ]

    def _tests(self, position: int) -> int:
        return len(self._event_log.verdicts[self._problems[position].problem.id])

    def _is_due(self, position: int) -> bool:
        tests = self._tests(position)
        last = self._event_log.looks.get(self._problems[position].problem.id)
        return tests >= _FIRST and (last is None or (tests > last.tests and not last.stops))

    def _test_effect(self, position: int, batch: BatchStatistics) -> TestEffect:
        return TestEffect.of(
            replace(evidence_so_far(self._problems[position], self._event_log), batch=batch),
            self._rule,
            confidence_models=self._confidence_models,
            fold=problem_fold(self._problems[position].problem.content_hash),
            pass_rate=float(self._pass_rates[position]),
        )

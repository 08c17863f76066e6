"""The race on each problem: on which of its programs the next tests are run."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from executors.execution.runner import Outcomes
from rewards.behaviour import spread
from rewards.evidence import Evidence
from rewards.problem import NOT_RUN
from rewards.racing import heat, in_race
from rewards.selection import SelectionRule
from scheduler.records import GrantRecord, VerdictRecord, votes_of
from scheduler.solving import Solving


@dataclass(frozen=True, slots=True)
class Racing:
    """How programs fall out of a race.

    Attributes:
        rule: says who leads.
        z: see ``rewards.racing.in_race``.
    """

    rule: SelectionRule
    z: float


class Races:
    """Who can still win, problem by problem.

    Whoever falls out stays out. Who does follows from the verdicts before each heat alone, so a resumed run
    leaves out the same programs as one that was not interrupted.

    Args:
        problems: positions in this list are what the methods speak of.
        racing: None keeps every program in.
    """

    def __init__(self, problems: Sequence[Solving], racing: Racing | None) -> None:
        self._problems = problems
        self._racing = racing
        self._in_race = [np.arange(len(solving.programs)) for solving in problems]

    def programs(self, position: int) -> NDArray[np.intp]:
        """Positions of the programs that can still win, among the problem's."""
        return self._in_race[position]

    def heats(self, tests: Iterable[int]) -> list[list[int]]:
        """Tests of one problem, by index, in parts during which nobody falls out."""
        if self._racing is None:
            whole = list(tests)
            return [whole] if whole else []
        return [list(part) for _, part in itertools.groupby(tests, heat)]

    def update(self, position: int, verdicts: Mapping[int, VerdictRecord]) -> None:
        """Drops who can no longer win, by a problem's verdicts so far."""
        if self._racing is None:
            return
        solving = self._problems[position]
        votes, programs = votes_of(verdicts, solving.distinct), self._in_race[position]
        candidates = solving.distinct.representatives[programs]
        leaders = np.intersect1d(self._racing.rule.winners(Evidence(votes)), candidates)
        if len(leaders):
            still = in_race(votes, int(leaders[0]), self._racing.z)
            self._in_race[position] = programs[still[candidates]]

    def restore(
        self, position: int, grants: Iterable[GrantRecord], verdicts: Mapping[int, VerdictRecord]
    ) -> None:
        """Runs the race of an earlier part of the run again, heat by heat."""
        for grant in grants:
            for tests in self.heats(grant.indices):
                before = {index: record for index, record in verdicts.items() if index < tests[0]}
                self.update(position, before)

    def over_all(self, position: int, outcomes: Outcomes) -> Outcomes:
        """Outcomes of the programs in the race as rows among those of all of the problem's programs."""
        programs = self._in_race[position]
        shape = (len(self._problems[position].programs), outcomes.verdicts.shape[1])
        verdicts = np.full(shape, NOT_RUN, np.uint8)
        verdicts[programs] = outcomes.verdicts
        cpu_seconds, wall_seconds = np.zeros((2, *shape), np.float32)
        cpu_seconds[programs], wall_seconds[programs] = outcomes.cpu_seconds, outcomes.wall_seconds
        together = np.zeros(shape, np.bool_)
        together[programs] = outcomes.together
        return Outcomes(
            verdicts=verdicts,
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            together=together,
            behaviour=outcomes.behaviour and spread(outcomes.behaviour, programs, shape[0]),
            variations=outcomes.variations,
        )

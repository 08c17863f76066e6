"""The race on each problem: on which of its programs the next tests are run."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from executors.execution.runner import Outcomes
from rewards.behaviour import Behaviour, spread
from rewards.problem import NOT_RUN
from rewards.racing import heat, still_racing
from rewards.selection import SelectionRule
from scheduler.records import GrantRecord, VerdictRecord, evidence_of
from scheduler.solving import Solving


@dataclass(frozen=True, slots=True)
class Racing:
    """How programs fall out of a race.

    Attributes:
        rule: says who leads.
        z: see ``rewards.racing.still_racing``.
    """

    rule: SelectionRule
    z: float | None


class Races:
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
        problems: Sequence[Solving],
        racing: Racing | None,
        behaviour_of: Callable[[str], Behaviour | None],
    ) -> None:
        self._problems = problems
        self._racing = racing
        self._behaviour_of = behaviour_of
        self._seen = [0] * len(problems)
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
        """Drops who can no longer win, by a problem's verdicts so far; the same ones are looked at once."""
        if self._racing is None or len(verdicts) == self._seen[position]:
            return
        self._seen[position] = len(verdicts)
        solving, rule = self._problems[position], self._racing.rule
        behaviour = self._behaviour_of(solving.problem.id)
        racing = np.isin(solving.distinct.inverse, self._in_race[position])
        still = still_racing(
            evidence_of(verdicts, solving.distinct, behaviour), racing, rule, self._racing.z
        )
        self._in_race[position] = np.flatnonzero(still[solving.distinct.representatives])

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

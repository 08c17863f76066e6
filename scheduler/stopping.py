"""Which problems get no more tests, since these are likelier to harm their picks than to help."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rewards.confidence import Calibration, fold_of
from rewards.evidence import Batch
from rewards.racing import end_of_heat
from rewards.selection import SelectionRule
from rewards.selection.batch import Part, batch_of_parts, part_of_batch
from rewards.stopping import Outlook
from scheduler.journal import Journal
from scheduler.records import LookRecord
from scheduler.solving import Solving
from scheduler.standing import evidence_so_far

_FIRST = 5
"""Tests before which little can be said."""


class Stopping:
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
        problems: Sequence[Solving],
        journal: Journal,
        rule: SelectionRule,
        calibration: Calibration,
        pass_rates: NDArray[np.float64],
    ) -> None:
        self._problems = problems
        self._journal = journal
        self._rule = rule
        self._calibration = calibration
        self._pass_rates = pass_rates
        self._parts: list[Part | None] = [None] * len(problems)

    def tests_to_look(self, granted: int) -> int:
        """How many more tests a problem that has so many may get before it must be looked at."""
        return end_of_heat(granted) - granted

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
            self._parts[position] = part_of_batch(evidence_so_far(self._problems[position], self._journal))
        if due := [position for position in changed if self._is_due(position)]:
            batch = batch_of_parts([part for part in self._parts if part is not None])
            with self._journal.transaction():
                for position in due:
                    stops = self._outlook(position, batch).overoptimised
                    look = LookRecord(self._tests(position), stops)
                    self._journal.add_look(self._problems[position].problem.id, look)
        stopped = {problem for problem, look in self._journal.looks.items() if look.stops}
        return [
            position for position, solving in enumerate(self._problems) if solving.problem.id in stopped
        ]

    def _tests(self, position: int) -> int:
        return len(self._journal.verdicts[self._problems[position].problem.id])

    def _is_due(self, position: int) -> bool:
        tests = self._tests(position)
        last = self._journal.looks.get(self._problems[position].problem.id)
        return tests >= _FIRST and (last is None or (tests > last.tests and not last.stops))

    def _outlook(self, position: int, batch: Batch) -> Outlook:
        return Outlook.of(
            replace(evidence_so_far(self._problems[position], self._journal), batch=batch),
            self._rule,
            calibration=self._calibration,
            fold=fold_of(self._problems[position].problem.content_hash),
            pass_rate=float(self._pass_rates[position]),
        )

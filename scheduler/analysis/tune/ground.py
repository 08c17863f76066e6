"""Problems in random orders of their tests, under any rule: worked out when first asked for, then kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.selection import selection_rule
from scheduler.analysis.compare.simulation import Course, Recording, courses, random_orders


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What budgets come to in one order, or in all of them with one more axis in front.

    Attributes:
        accuracy: float64 (problems,), of the picks.
        spent: float64 (problems, ``QUANTITIES``).
    """

    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]


class Ground:
    """Some problems of a finished run. They make up a batch of their own.

    Args:
        recordings: of the problems.
        orders: how many random orders of the tests.
        seed: of the orders.

    Attributes:
        available: intp (problems,), recorded tests.
        orders: how many.
    """

    def __init__(self, recordings: Sequence[Recording], orders: int, seed: int) -> None:
        self.available = np.asarray([recording.tests for recording in recordings])
        self.orders = orders
        self._recordings = recordings
        self._drawn = [
            random_orders(recordings, np.random.default_rng([seed, order])) for order in range(orders)
        ]
        self._courses: list[dict[str, list[Course]]] = [{} for _ in range(orders)]
        self._spent: list[list[NDArray[np.float64]]] = [[] for _ in range(orders)]

    def courses(self, rule: str, order: int) -> list[Course]:
        """What every number of tests comes to in one order, by problem."""
        known = self._courses[order]
        if rule not in known:
            drawn = self._drawn[order]
            known[rule] = courses(self._recordings, drawn, selection_rule(rule))
        return known[rule]

    def outcome(self, rule: str, order: int, granted: NDArray[np.integer]) -> Outcome:
        """What budgets, shape (problems,), come to in one order."""
        of_order = self.courses(rule, order)
        if not self._spent[order]:
            self._spent[order] = [course.spent for course in of_order]
        tests = granted.tolist()
        return Outcome(
            np.array([course.accuracy[m] for course, m in zip(of_order, tests, strict=True)]),
            np.stack([spent[m] for spent, m in zip(self._spent[order], tests, strict=True)]),
        )

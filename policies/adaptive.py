"""The gain of tests, as learned from finished runs and as the doubt about each pick promises it."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.curves import envelope_slopes
from testbudget.policies.gain_model import GainModels
from testbudget.policies.water_filling import allocate_greedily

_LEAST, _MOST = 0.1, 5.0
_STOPS = np.array([1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100])


class Adaptive(Policy):
    """Each next test goes where it is worth most for its price, ``f / (m + 1)`` after m tests.

    f is what the doubt about a problem's pick promises: the gain of more tests by that of a usual problem
    with as many (:meth:`policies.gain_models.Lesson.promise`), within [0.1, 5]. Where finished runs taught
    nothing certain f is 1, and budgets are equal. The falling power stands for the slope of the mean curve,
    which all problems share, so it must not differ between lessons: a problem would be preferred for what
    other problems' curves look like. A problem's budget is never less than a fiftieth of another's with the
    same price and room.

    One ask plans all the room by what is known, and grants of each budget no more than the block up to the
    next of 1, 2, 3, 5, 8, 12, 20, 30, ... tests; so doubts are heard before most of it is spent, in a
    dozen rounds. No problem gets more tests than the number beyond which accuracy fell in its lesson. Ties
    go out in an order drawn from the seed.

    Args:
        problems: number of problems.
        lessons: for these problems.
        **limits: as for :class:`Policy`.

    Raises:
        ValueError: for lessons of another number of problems.
    """

    name: ClassVar[str] = "adaptive"
    static: ClassVar[bool] = False
    uses_gain_models: ClassVar[bool] = True

    def __init__(self, problems: int, gain_models: GainModels, **limits: Unpack[PolicyLimits]) -> None:
        super().__init__(problems, **limits)
        self._gain_models = gain_models.gain_models
        self._gain_model_of = self._array("lessons", gain_models.gain_model_of).astype(np.int32)
        unbounded = np.iinfo(np.int32).max
        self._ends = np.array(
            [unbounded if one.most is None else one.most for one in self._gain_models], np.int32
        )
        self._heights = [
            np.concatenate([[0.0], np.cumsum(envelope_slopes(one.accuracy[np.newaxis])[0])])
            for one in self._gain_models
        ]
        self._multipliers = np.ones(problems, np.float32)
        self._p_wrong = np.zeros(problems, np.float32)
        self._unheard: list[int] = []

    def tell(self, problem: int, p_wrong: float) -> None:
        """See :meth:`Policy.tell`; the next ask goes by it."""
        self._check(problem)
        self._p_wrong[problem] = p_wrong
        self._unheard.append(problem)

    def restore(self, granted: NDArray[np.integer]) -> None:
        """See :meth:`Policy.restore`."""
        super().restore(granted)
        self._unheard.clear()
        self._multipliers[:] = 1

    def _plan(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        self._apply_observed()
        left = np.maximum(self._ends[self._gain_model_of] - self._granted, 0)
        worth = self._multipliers / self._prices
        worth, order = worth[self._order], self._order

        def value(ranks: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
            return np.asarray(worth[ranks] / (tests + 1.0))

        free = np.minimum(free, left)[order]
        ranks, tests = allocate_greedily(value, self._granted[order], free, room)
        problems = order[ranks]
        return problems, np.minimum(tests, _block(self._granted[problems]))

    def _apply_observed(self) -> None:
        """Takes in what was told."""
        if not self._unheard:
            return
        problems = np.unique(np.asarray(self._unheard, np.intp))
        self._unheard.clear()
        for number in np.unique(self._gain_model_of[problems]):
            own = problems[self._gain_model_of[problems] == number]
            multiplier = self._gain_models[number].multiplier(self._granted[own], self._p_wrong[own])
            self._multipliers[own] = np.clip(multiplier, _LEAST, _MOST)

    def _expected_gains(
        self, problems: NDArray[np.intp], granted: NDArray[np.int32], tests: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        gains = np.zeros(len(problems))
        for number, heights in enumerate(self._heights):
            own = self._gain_model_of[problems] == number
            end = len(heights) - 1
            before, after = np.minimum(granted[own], end), np.minimum(granted[own] + tests[own], end)
            gains[own] = (heights[after] - heights[before]) * self._multipliers[problems[own]]
        return gains


def _block(granted: NDArray[np.int32]) -> NDArray[np.int32]:
    """How many tests the next block has of problems that have so many."""
    beyond = granted + np.maximum(granted // 2, 1)
    following = np.searchsorted(_STOPS, granted, side="right")
    stops = np.where(following < len(_STOPS), _STOPS[np.minimum(following, len(_STOPS) - 1)], beyond)
    return np.asarray(stops - granted, np.int32)

"""Budgets by p_wrong of each problem's pick, with gain models fitted on finished runs."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.gain_model import GainModelAssignment
from testbudget.policies.water_filling import allocate_greedily

_MIN_MULTIPLIER, _MAX_MULTIPLIER = 0.1, 5.0
_STEP_ENDS = np.array([1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100])


class Adaptive(Policy):
    """Each next test goes to the problem with the largest index ``f / (m + 1)`` after m tests.

    f is the multiplier of the problem's gain model (:meth:`GainModel.multiplier`) at its present p_wrong,
    clipped to [0.1, 5], so two problems' budgets differ by at most a factor of 50. Where p_wrong said
    nothing about gain in the finished run, f = 1 and budgets are equal. The factor ``1 / (m + 1)`` stands
    for the slope of the mean accuracy curve. It is the same for all gain models, so that the curves of
    other problems give a problem no advantage.

    One call of :meth:`ask` plans all remaining tests with the p_wrong known so far. Of each planned budget
    it grants at most the tests up to the next of 1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100, then half as many
    again each time. p_wrong is therefore updated about a dozen times while the cap is spent. No problem
    gets more tests than its gain model's ``best_budget``. Ties go to problems in a random order drawn from
    the seed. Not static.

    Args:
        problems: number of problems.
        gain_models: one for each of these problems.
        **limits: as for :class:`~testbudget.policies.base.Policy`.

    Raises:
        ValueError: gain models for another number of problems.
    """

    name: ClassVar[str] = "adaptive"
    static: ClassVar[bool] = False
    uses_gain_models: ClassVar[bool] = True

    def __init__(
        self, problems: int, gain_models: GainModelAssignment, **limits: Unpack[PolicyLimits]
    ) -> None:
        super().__init__(problems, **limits)
        self._gain_models = gain_models.gain_models
        self._gain_model_of = self._array("gain_models", gain_models.gain_model_of).astype(np.int32)
        unbounded = np.iinfo(np.int32).max
        self._best_budgets = np.array(
            [unbounded if one.best_budget is None else one.best_budget for one in self._gain_models],
            np.int32,
        )
        self._multipliers = np.ones(problems, np.float32)
        self._p_wrong = np.zeros(problems, np.float32)
        self._told: list[int] = []

    def tell(self, problem: int, p_wrong: float) -> None:
        """See :meth:`Policy.tell`; the next :meth:`ask` uses it."""
        self._check(problem)
        self._p_wrong[problem] = p_wrong
        self._told.append(problem)

    def restore(self, granted: NDArray[np.integer]) -> None:
        """See :meth:`Policy.restore`."""
        super().restore(granted)
        self._told.clear()
        self._multipliers[:] = 1

    def _plan(self, free: NDArray[np.int32], remaining: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        self._update_multipliers()
        below_best = np.maximum(self._best_budgets[self._gain_model_of] - self._granted, 0)
        order = self._order
        multipliers = self._multipliers[order]

        def index(ranks: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
            return np.asarray(multipliers[ranks] / (tests + 1.0))

        free = np.minimum(free, below_best)[order]
        ranks, tests = allocate_greedily(index, self._granted[order], free, remaining)
        problems = order[ranks]
        return problems, np.minimum(tests, _to_step_end(self._granted[problems]))

    def _update_multipliers(self) -> None:
        """Update the multipliers of the problems that were told since the last call."""
        if not self._told:
            return
        problems = np.unique(np.asarray(self._told, np.intp))
        self._told.clear()
        for number in np.unique(self._gain_model_of[problems]):
            own = problems[self._gain_model_of[problems] == number]
            multiplier = self._gain_models[number].multiplier(self._granted[own], self._p_wrong[own])
            self._multipliers[own] = np.clip(multiplier, _MIN_MULTIPLIER, _MAX_MULTIPLIER)


def _to_step_end(granted: NDArray[np.int32]) -> NDArray[np.int32]:
    """Number of tests from each problem's present number to the end of its next step."""
    beyond = granted + np.maximum(granted // 2, 1)
    following = np.searchsorted(_STEP_ENDS, granted, side="right")
    ends = np.where(
        following < len(_STEP_ENDS), _STEP_ENDS[np.minimum(following, len(_STEP_ENDS) - 1)], beyond
    )
    return np.asarray(ends - granted, np.int32)

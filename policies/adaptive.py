"""Budgets by p_wrong of each problem's pick, with gain models fitted on finished runs."""

from typing import ClassVar

import numpy as np

from testbudget.policies.base import UNBOUNDED, Floats, Ints, Policy
from testbudget.policies.gain_model import GainModelAssignment

_MIN_MULTIPLIER, _MAX_MULTIPLIER = 0.1, 5.0
_STEP_ENDS = np.array([1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100])


class Adaptive(Policy):
    """Each next test goes to the problem with the largest value ``f / (m + 1)`` after m tests.

    f is the multiplier of the problem's gain model (:meth:`GainModel.multiplier`) at the last observed
    p_wrong, clipped to [0.1, 5], so two problems' budgets differ by at most a factor of 50. f is 1 before
    the first observation. Where p_wrong said nothing about gain in the finished run, f = 1 and budgets are
    equal. The factor ``1 / (m + 1)`` stands for the slope of the mean accuracy curve. It is the same for
    all gain models, so that the curves of other problems give a problem no advantage.

    One grant reaches at most to the next of 1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100 tests, then half as many
    again each time. p_wrong is therefore observed about a dozen times while the cap is spent. The value is
    0 from the gain model's ``best_budget`` on. Not static.

    Args:
        gain_models: the gain model of each problem.
    """

    name: ClassVar[str] = "adaptive"
    static: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"gain_models"})

    def __init__(self, gain_models: GainModelAssignment) -> None:
        self._gain_models = gain_models.gain_models
        self._gain_model_of = gain_models.gain_model_of.astype(np.int32)
        self._best_budgets = np.array(
            [UNBOUNDED if one.best_budget is None else one.best_budget for one in self._gain_models],
            np.int64,
        )
        self._multipliers = np.ones(len(self._gain_model_of), np.float32)

    def values(self, problems: Ints, granted: Ints) -> Floats:
        """See :meth:`Policy.values`."""
        best_budgets = self._best_budgets[self._gain_model_of[problems]]
        return np.where(granted < best_budgets, self._multipliers[problems] / (granted + 1.0), 0.0)

    def increments(self, granted: Ints) -> Ints:
        """See :meth:`Policy.increments`: the tests up to the end of the next step."""
        beyond = granted + np.maximum(granted // 2, 1)
        following = np.searchsorted(_STEP_ENDS, granted, side="right")
        ends = np.append(_STEP_ENDS, 0)[following]
        return np.where(following < len(_STEP_ENDS), ends, beyond) - granted

    def observe(self, problems: Ints, granted: Ints, p_wrong: Floats) -> None:
        """See :meth:`Policy.observe`: compute the multipliers of these problems anew."""
        gain_model_of = self._gain_model_of[problems]
        for number in np.unique(gain_model_of):
            own = gain_model_of == number
            multipliers = self._gain_models[number].multiplier(granted[own], p_wrong[own])
            self._multipliers[problems[own]] = np.clip(multipliers, _MIN_MULTIPLIER, _MAX_MULTIPLIER)

    def terms(self, problems: Ints, granted: Ints) -> dict[str, Floats]:  # noqa: ARG002 - f is stored
        """See :meth:`Policy.terms`: the multiplier f."""
        return {"multiplier": self._multipliers[problems].astype(np.float64)}

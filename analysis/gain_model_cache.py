"""Gain models fitted on recorded tests in many permutations, and kept for further policies."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.gain_model import GainModel, GainModelAssignment
from testbudget.scheduler.fitting.gain_models import GainObservations, fit_gain, out_of_fold_gain_models
from testbudget.traces.learning_curves import LearningCurve


class GainModelCache:
    """Gain models under one selection rule, one for each set of predicted pass rates.

    Args:
        curves: gives the learning curves by permutation, then by problem; called at the first fit.
        selection: name of the rule.
        seed: seed of the folds.
    """

    def __init__(
        self, curves: Callable[[], Sequence[Sequence[LearningCurve]]], selection: str, seed: int
    ) -> None:
        self._curves, self._selection, self._seed = curves, selection, seed
        self._cross_fitted: dict[bytes | None, GainModelAssignment] = {}
        self._shared: dict[bytes | None, GainModel] = {}

    def cross_fitted(self, pass_rates: NDArray[np.float64] | None) -> GainModelAssignment:
        """A model for each of these problems, fitted without the problems of its fold.

        Args:
            pass_rates: float64 (problems,), predicted; None if the policy uses none.

        Raises:
            UserError: there is only one problem, or no problem has 2 tests.
        """
        key = _key(pass_rates)
        if key not in self._cross_fitted:
            self._cross_fitted[key] = out_of_fold_gain_models(
                self._observations, pass_rates, seed=self._seed
            )
        return self._cross_fitted[key]

    def shared(self, pass_rates: NDArray[np.float64] | None, problems: int) -> GainModelAssignment:
        """One model for all of some other problems, fitted on these problems.

        Args:
            pass_rates: float64 (problems,), predicted for these problems; None if the policy uses none.
            problems: number of the other problems.

        Raises:
            UserError: no problem has 2 tests.
        """
        key = _key(pass_rates)
        if key not in self._shared:
            own = np.arange(len(self._observations.tests))
            self._shared[key] = fit_gain(self._observations, own, pass_rates)
        return GainModelAssignment.shared(self._shared[key], problems)

    @functools.cached_property
    def _observations(self) -> GainObservations:
        return GainObservations.of(self._curves(), self._selection)


def _key(pass_rates: NDArray[np.float64] | None) -> bytes | None:
    return None if pass_rates is None else pass_rates.tobytes()

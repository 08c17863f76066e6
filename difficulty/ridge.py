"""Ridge regression on log-odds, the heart of the linear and the text method.

Chosen on 164 HumanEval problems with 12 samples each: ridge on smoothed log-odds ranked as well as or
a little better than ridge on the rates and logistic regression on soft labels, and is far quicker than
the latter. Log-odds overshoot where many samples stand behind a rate, so they are calibrated afterwards.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from difficulty.calibration import Calibration

PENALTIES = np.logspace(-3, 4, 15)
"""For features whose squares are about 1 on average."""


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Log-odds as a weighted sum of features.

    Attributes:
        coefficients: float64 (features,).
        intercept: what is added to the sum.
        calibration: learned from leave-one-out predictions.
    """

    coefficients: NDArray[np.float64]
    intercept: float
    calibration: Calibration

    @classmethod
    def fit(
        cls,
        features: NDArray[np.floating],
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> Self:
        """Learns from features of shape (problems, features); the penalty is chosen by leave-one-out."""
        right = weights * values
        # One sample more of either outcome (Laplace's rule of succession) keeps the log-odds finite.
        log_odds = np.log((right + 1) / (weights - right + 1))
        ridge = RidgeCV(PENALTIES, scoring="neg_mean_squared_error", store_cv_results=True)
        ridge.fit(features.astype(np.float64), log_odds, sample_weight=weights / weights.mean())
        # Leave-one-out predictions, since those on problems that the ridge saw would look too sure.
        held_out = ridge.cv_results_[:, np.flatnonzero(ridge.alpha_ == PENALTIES)[0]]
        return cls(ridge.coef_, float(ridge.intercept_), Calibration.fit(held_out, values, weights))

    def log_odds(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Before calibration, shape (problems,)."""
        return np.asarray(features @ self.coefficients + self.intercept, dtype=np.float64)

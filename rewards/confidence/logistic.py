"""Logistic regression in plain NumPy: small enough to ship as numbers and to fit in passing."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_STEPS = 50
_ENOUGH = 1e-9  # mean squared step at which Newton's method is done
_FARTHEST = 30.0  # log-odds beyond which the exponential says nothing more
_PENALTY = 5.0  # half of it times the squares of the standardised weights is taken off the log-likelihood


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """Log-odds as a weighted sum of features; a feature that is NaN is unknown and counts as usual.

    Attributes:
        intercept: log-odds where all features are as usual.
        usual: float64 (features,), the mean of each feature.
        weights: float64 (features,), of what a feature exceeds its mean by.
    """

    intercept: float
    usual: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def fit(
        cls, features: NDArray[np.float64], outcomes: NDArray[np.float64], counts: NDArray[np.float64]
    ) -> Self:
        """Maximises the likelihood less a ridge penalty on standardised weights, by Newton's method.

        Args:
            features: shape (rows, features), NaN where unknown.
            outcomes: in [0, 1], shape (rows,); a share counts as so much of either outcome.
            counts: how much each row counts, shape (rows,), positive.
        """
        known = ~np.isnan(features)
        shares = known * counts[:, np.newaxis]
        total = np.maximum(shares.sum(axis=0), 1e-9)
        filled = np.where(known, features, 0.0)
        usual = (filled * shares).sum(axis=0) / total
        spread = np.sqrt(((filled - usual) ** 2 * shares).sum(axis=0) / total)
        spread[spread < 1e-9] = np.inf  # a constant says nothing
        design = np.ones((len(features), features.shape[1] + 1))
        design[:, 1:] = np.where(known, (filled - usual) / spread, 0.0)
        penalty = np.full(design.shape[1], _PENALTY)
        penalty[0] = 1e-3  # keeps it finite where there is one outcome only
        weights = np.zeros(design.shape[1])
        for _ in range(_STEPS):
            chances = _logistic(design @ weights)
            slope = design.T @ (counts * (outcomes - chances)) - penalty * weights
            bend = (design.T * (counts * chances * (1 - chances))) @ design + np.diag(penalty)
            step = np.linalg.solve(bend, slope)
            weights += step
            if np.mean(step**2) < _ENOUGH:
                break
        return cls(float(weights[0]), usual, weights[1:] / spread)

    def contributions(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each feature adds to the log-odds, shape (..., features)."""
        return np.where(np.isnan(features), 0.0, (features - self.usual) * self.weights)

    def probability(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Chance of the outcome, for features of shape (..., features)."""
        return _logistic(self.contributions(features).sum(axis=-1) + self.intercept)


def _logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -_FARTHEST, _FARTHEST))))

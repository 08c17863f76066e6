"""Calibration of predicted log-odds."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from testbudget.difficulty.base import MAX_RATE, MIN_RATE, Prediction
from testbudget.rewards.errors import require_extra

with require_extra("train", "learning to predict difficulty"):
    from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True, slots=True)
class PredictionCalibration:
    """Platt scaling of the mean, and the variance of the true values about it.

    Attributes:
        slope: factor of the log-odds; 0 if they carry no information, so that all problems get the mean.
        intercept: term added to ``slope * log_odds``.
        spread: variance of the true value about its mean m, divided by m (1 - m); in [0, 1]. The value then
            has a beta distribution whose parameters sum to 1 / spread - 1.
    """

    slope: float
    intercept: float
    spread: float

    @classmethod
    def fit(
        cls,
        log_odds: NDArray[np.float64],
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> Self:
        """Fit to predictions of held-out problems.

        The slope and intercept maximise the likelihood of the values as outcomes (Platt 1999). The spread
        is the excess of the squared errors over the sampling noise of the values: the moment estimate of
        the overdispersion of a beta-binomial distribution (Williams 1982).

        Args:
            log_odds: float64 (problems,), uncalibrated predictions.
            values: float64 (problems,), measured, in [0, 1].
            weights: float64 (problems,), number of samples behind each value.
        """
        shares = weights / weights.mean()
        mean = float(np.clip(np.average(values, weights=weights), MIN_RATE, MAX_RATE))
        slope, intercept = 0.0, float(logit(mean))
        outcomes = np.repeat([1, 0], len(values))
        counts = np.concatenate([shares * values, shares * (1 - values)])
        if counts[outcomes == 1].any() and counts[outcomes == 0].any():
            platt = LogisticRegression().fit(np.tile(log_odds, 2)[:, None], outcomes, sample_weight=counts)
            # A negative slope means no information: a held-out mean falls as its own label rises.
            if platt.coef_[0, 0] > 0:
                slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
        means = expit(slope * log_odds + intercept).clip(MIN_RATE, MAX_RATE)
        variance = means * (1 - means)
        # E (value - mean)^2 = variance (spread + (1 - spread) / samples), solved for the spread.
        excess = shares @ ((values - means) ** 2 - variance / weights)
        most = shares @ (variance * (1 - 1 / weights))
        # With one sample behind each value, sampling noise and spread cannot be separated.
        spread = float(np.clip(excess / most, 0, 1)) if most > 0 else 0.0
        return cls(slope, intercept, spread)

    def mean(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated means, float64 of the same shape, in [``MIN_RATE``, ``MAX_RATE``]."""
        return np.asarray(expit(self.slope * log_odds + self.intercept).clip(MIN_RATE, MAX_RATE))

    def prediction(self, mean: NDArray[np.float64]) -> Prediction:
        """Calibrated means with their deviations, sqrt(spread m (1 - m))."""
        return Prediction(mean, np.sqrt(self.spread * mean * (1 - mean)))

    def to_array(self) -> NDArray[np.float32]:
        """Slope, intercept and spread, float32 (3,), for a model file."""
        return np.array([self.slope, self.intercept, self.spread], np.float32)

    @classmethod
    def from_array(cls, array: NDArray[np.float32]) -> Self:
        """Inverse of ``to_array`` up to float32 precision."""
        return cls(*map(float, array))

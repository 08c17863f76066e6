"""From a model's log-odds to beliefs that can be taken at their word."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from difficulty.base import HIGHEST, LOWEST, Prediction


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt's method for the mean, and the spread of the truth about it.

    Attributes:
        slope: by which log-odds are multiplied; 0 if they told nothing, and all problems get the mean.
        intercept: what is added to them then.
        spread: variance of the truth about a mean m, as a share of m(1 − m), in [0, 1]. In these terms
            the belief is a beta distribution whose parameters add up to 1 / spread − 1.
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
        """Learns from predictions of problems that the model did not see.

        The slope and intercept maximise the likelihood of the values as outcomes (Platt 1999); the spread
        is what squared errors exceed the noise of the samples behind the values by (the moment estimate
        of a beta-binomial distribution's overdispersion, Williams 1982).

        Args:
            log_odds: of the model, shape (problems,).
            values: measured, in [0, 1], same shape.
            weights: number of samples behind each, same shape.
        """
        shares = weights / weights.mean()
        mean = float(np.clip(np.average(values, weights=weights), LOWEST, HIGHEST))
        slope, intercept = 0.0, float(logit(mean))
        outcomes = np.repeat([1, 0], len(values))
        counts = np.concatenate([shares * values, shares * (1 - values)])
        if counts[outcomes == 1].any() and counts[outcomes == 0].any():
            platt = LogisticRegression().fit(np.tile(log_odds, 2)[:, None], outcomes, sample_weight=counts)
            # A falling curve means that the model found nothing: held-out means run against their labels.
            if platt.coef_[0, 0] > 0:
                slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
        means = expit(slope * log_odds + intercept).clip(LOWEST, HIGHEST)
        variance = means * (1 - means)
        # E (value - mean)^2 = variance (spread + (1 - spread) / samples), solved for the spread.
        excess = shares @ ((values - means) ** 2 - variance / weights)
        room = shares @ (variance * (1 - 1 / weights))
        # Where one sample stands behind each value, its noise and the spread cannot be told apart.
        spread = float(np.clip(excess / room, 0, 1)) if room > 0 else 0.0
        return cls(slope, intercept, spread)

    def mean(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated means of any shape."""
        return np.asarray(expit(self.slope * log_odds + self.intercept).clip(LOWEST, HIGHEST))

    def belief(self, mean: NDArray[np.float64]) -> Prediction:
        """Calibrated means with their deviations."""
        return Prediction(mean, np.sqrt(self.spread * mean * (1 - mean)))

    def array(self) -> NDArray[np.float32]:
        """The three numbers, for a model file."""
        return np.array([self.slope, self.intercept, self.spread], np.float32)

    @classmethod
    def of(cls, array: NDArray[np.float32]) -> Self:
        """The inverse of ``array``, but for what float32 rounds away."""
        return cls(*map(float, array))

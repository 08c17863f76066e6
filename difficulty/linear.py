"""A linear function of hidden states: quick to learn, and hard to beat while problems are few."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from difficulty.base import Fitted, Inputs, Method, Prediction
from difficulty.calibration import Calibration
from difficulty.reduction import Reduction
from difficulty.ridge import Ridge


@dataclass(frozen=True, slots=True)
class Linear(Method):
    """Ridge regression of log-odds on the principal components of hidden states.

    Attributes:
        components: how many the ridge sees: as good as all of them, and the cost of a fit is theirs.
    """

    name: ClassVar[str] = "linear"

    components: int = 128

    def _fit(
        self, inputs: Inputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> Fitted:
        reduction = Reduction.fit(inputs.states, self.components, seed)
        ridge = Ridge.fit(reduction.apply(inputs), values, weights)
        return FittedLinear(reduction.folded(ridge.coefficients), ridge.intercept, ridge.calibration)


@dataclass(frozen=True, slots=True, eq=False)
class FittedLinear(Fitted):
    """Log-odds as a weighted sum of hidden states, then calibration."""

    reduction: Reduction
    intercept: float
    calibration: Calibration

    def predict(self, inputs: Inputs) -> Prediction:
        """See ``Fitted``."""
        log_odds = self.reduction.apply(inputs)[:, 0].astype(np.float64) + self.intercept
        return self.calibration.belief(self.calibration.mean(log_odds))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it as arrays, for a model file."""
        return {
            **self.reduction.arrays(),
            "intercept": np.array([self.intercept], np.float32),
            "calibration": self.calibration.array(),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """The inverse of ``arrays``, but for what float32 rounds away.

        Raises:
            KeyError: an array is missing.
        """
        return cls(
            Reduction.of(arrays), float(arrays["intercept"][0]), Calibration.of(arrays["calibration"])
        )

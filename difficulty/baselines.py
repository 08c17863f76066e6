"""Methods that a good one has to beat: the same belief for all, and that of similar problems."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.neighbors import NearestNeighbors

from difficulty.base import HIGHEST, LOWEST, Fitted, Inputs, Method, Prediction
from difficulty.calibration import Calibration
from difficulty.reduction import Reduction


@dataclass(frozen=True, slots=True)
class Constant(Method):
    """The same belief for every problem: the mean over all samples. It ranks nothing."""

    name: ClassVar[str] = "constant"

    def _fit(
        self,
        inputs: Inputs,  # noqa: ARG002
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        seed: int,  # noqa: ARG002
    ) -> Fitted:
        return _FittedConstant(Calibration.fit(np.zeros(len(values)), values, weights))


@dataclass(frozen=True, slots=True)
class _FittedConstant(Fitted):
    calibration: Calibration

    def predict(self, inputs: Inputs) -> Prediction:
        return self.calibration.belief(self.calibration.mean(np.zeros(len(inputs))))


@dataclass(frozen=True, slots=True)
class Neighbours(Method):
    """The mean of the problems whose standardised hidden states are most alike, by cosine.

    Attributes:
        count: how many neighbours; all where there are fewer.
        components: principal components in which cosines are taken, for speed.
    """

    name: ClassVar[str] = "neighbours"

    count: int = 15
    components: int = 128

    def _fit(
        self, inputs: Inputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> Fitted:
        reduction = Reduction.fit(inputs.states, self.components, seed)
        states = reduction.apply(inputs)
        count = min(self.count, max(1, len(values) - 1))
        index = NearestNeighbors(n_neighbors=count, metric="cosine").fit(states)
        calibration = Calibration.fit(np.zeros(len(values)), values, weights)
        if len(values) > 1:
            others = index.kneighbors(return_distance=False)  # without the problem itself
            calibration = Calibration.fit(_log_odds(values, weights, others), values, weights)
        return _FittedNeighbours(reduction, index, values, weights, calibration)


@dataclass(frozen=True, slots=True, eq=False)
class _FittedNeighbours(Fitted):
    reduction: Reduction
    index: NearestNeighbors
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    calibration: Calibration

    def predict(self, inputs: Inputs) -> Prediction:
        if not len(inputs):
            return Prediction(np.empty(0), np.empty(0))
        nearest = self.index.kneighbors(self.reduction.apply(inputs), return_distance=False)
        log_odds = _log_odds(self.values, self.weights, nearest)
        return self.calibration.belief(self.calibration.mean(log_odds))


def _log_odds(
    values: NDArray[np.float64], weights: NDArray[np.float64], rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Log-odds of the mean over each row's problems, weighted by samples."""
    means = np.average(values[rows], axis=1, weights=weights[rows])
    return np.asarray(logit(means.clip(LOWEST, HIGHEST)))

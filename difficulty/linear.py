"""A linear function of hidden states: quick to learn, and hard to beat while problems are few."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from testbudget.difficulty.base import Fitted, Method, Prediction, PredictionCalibration, PredictorInputs
from testbudget.rewards.errors import UserError

"""Hidden states in fewer numbers: standardised, then their principal components."""

_OVERSAMPLING = 8  # directions that are looked at beyond those wanted
_ITERATIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """Principal components of standardised hidden states.

    Attributes:
        centre: float32 (features,), mean of each feature.
        components: float32 (components, features): products with a centred state give numbers whose
            squares are 1 on average over components and the problems that were learned from.
    """

    centre: NDArray[np.float32]
    components: NDArray[np.float32]

    @classmethod
    def fit(cls, states: NDArray[np.float32], components: int, seed: int) -> Self:
        """Learns from states of shape (problems, features).

        By randomised subspace iteration (Halko et al. 2009, arXiv 0909.4061, algorithm 4.4). Torch's own
        ``svd_lowrank`` takes four times as long for tables of this shape, and scikit-learn's up to a
        hundred times where other processes keep the cores busy.

        Raises:
            UserError: there is no feature.
        """
        if not states.shape[1]:
            raise UserError("the method must have hidden states to learn from but there are none")
        centre = states.mean(axis=0, dtype=np.float64).astype(np.float32)
        standard = torch.from_numpy(states - centre)
        scale = standard.square().mean(dim=0).sqrt()
        scale[scale == 0] = 1  # a constant feature stays 0
        standard /= scale
        wanted = min(components, *states.shape)
        sketched = min(wanted + _OVERSAMPLING, *states.shape)
        axes = torch.randn(states.shape[1], sketched, generator=torch.Generator().manual_seed(seed))
        for _ in range(_ITERATIONS):
            axes = torch.linalg.qr(standard @ axes).Q
            axes = torch.linalg.qr(standard.T @ axes).Q
        _, values, rotation = torch.linalg.svd(standard @ axes, full_matrices=False)
        axes = axes @ rotation[:wanted].T
        size = values[:wanted].square().mean().div(len(states)).sqrt().clamp_min(1e-12)
        return cls(centre, (axes.T / scale / size).contiguous().numpy())

    def apply(self, inputs: PredictorInputs) -> NDArray[np.float32]:
        """Reduced states, shape (problems, components).

        Raises:
            UserError: the states have another number of features.
        """
        if inputs.states.shape[1] != len(self.centre):
            raise UserError(
                "hidden states must come from the same layers of the same model "
                f"but training had {len(self.centre)} numbers and these have {inputs.states.shape[1]}"
            )
        reduced: NDArray[np.float32] = (
            torch.from_numpy(inputs.states - self.centre) @ torch.from_numpy(self.components).T
        ).numpy()
        return reduced

    def folded(self, coefficients: NDArray[np.float64]) -> Self:
        """One component alone: the sum of all, each times its coefficient."""
        return type(self)(self.centre, (coefficients @ self.components).astype(np.float32)[None])

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it as arrays, for a model file."""
        return {"centre": self.centre, "components": self.components}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """The inverse of ``arrays``; others that are among them do not matter."""
        return cls(arrays["centre"], arrays["components"])


# ~ """Ridge regression on log-odds, the heart of the linear and the text method.
# ~
# ~ Chosen on 164 HumanEval problems with 12 samples each: ridge on smoothed log-odds ranked as well as or
# ~ a little better than ridge on the rates and logistic regression on soft labels, and is far quicker than
# ~ the latter. Log-odds overshoot where many samples stand behind a rate, so they are calibrated afterwards.
# ~ """


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
    calibration: PredictionCalibration

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
        return cls(
            ridge.coef_, float(ridge.intercept_), PredictionCalibration.fit(held_out, values, weights)
        )

    def log_odds(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Before calibration, shape (problems,)."""
        return np.asarray(features @ self.coefficients + self.intercept, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Linear(Method):
    """Ridge regression of log-odds on the principal components of hidden states.

    Attributes:
        components: how many the ridge sees: as good as all of them, and the cost of a fit is theirs.
    """

    name: ClassVar[str] = "linear"

    components: int = 128

    def _fit(
        self, inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> Fitted:
        reduction = Reduction.fit(inputs.states, self.components, seed)
        ridge = Ridge.fit(reduction.apply(inputs), values, weights)
        return FittedLinear(reduction.folded(ridge.coefficients), ridge.intercept, ridge.calibration)


@dataclass(frozen=True, slots=True, eq=False)
class FittedLinear(Fitted):
    """Log-odds as a weighted sum of hidden states, then calibration."""

    reduction: Reduction
    intercept: float
    calibration: PredictionCalibration

    def predict(self, inputs: PredictorInputs) -> Prediction:
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
            Reduction.of(arrays),
            float(arrays["intercept"][0]),
            PredictionCalibration.of(arrays["calibration"]),
        )

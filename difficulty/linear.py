"""Ridge regression of log-odds on the principal components of hidden states.

Chosen on 164 HumanEval problems with 12 samples each. Ridge on smoothed log-odds had at least the rank
correlation of ridge on the rates and of logistic regression on soft labels, which is much slower. The
log-odds overshoot for rates of many samples, so they are calibrated afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from testbudget.difficulty.base import (
    FittedMethod,
    Prediction,
    PredictionMethod,
    PredictorInputs,
    StorableFit,
)
from testbudget.difficulty.calibration import PredictionCalibration
from testbudget.rewards.errors import UserError, require_extra

with require_extra("train", "predicting difficulty from hidden states"):
    import torch
    from sklearn.linear_model import RidgeCV

_PENALTIES = np.logspace(-3, 4, 15)  # of the ridge, for features with a mean square of about 1
_OVERSAMPLING = 8  # directions of the subspace iteration beyond the wanted components
_ITERATIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """Principal components of standardised hidden states.

    Attributes:
        centre: float32 (features,), mean of each feature.
        components: float32 (components, features); ``(state - centre) @ components.T`` has mean square 1
            over the components and the problems of the fit.
    """

    centre: NDArray[np.float32]
    components: NDArray[np.float32]

    @classmethod
    def fit(cls, states: NDArray[np.float32], components: int, seed: int) -> Self:
        """Fit by randomised subspace iteration (Halko et al. 2009, arXiv 0909.4061, algorithm 4.4).

        For matrices of this shape ``torch.svd_lowrank`` takes four times as long, and scikit-learn's
        randomised SVD up to a hundred times when other processes occupy the cores.

        Args:
            states: float32 (problems, features).
            components: maximum number of components; there are never more than problems or features.
            seed: seed of the random start, 0 to 2**32 - 1.

        Raises:
            UserError: there are no features.
        """
        if not states.shape[1]:
            raise UserError("the method must have hidden states to learn from but there are none")
        centre = states.mean(axis=0, dtype=np.float64).astype(np.float32)
        standard = torch.from_numpy(states - centre)
        scale = standard.square().mean(dim=0).sqrt()
        scale[scale == 0] = 1  # constant features stay 0
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
        """Reduced states, float32 (problems, components).

        Raises:
            UserError: the number of features differs from the fit.
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
        """Reduction to one component: the sum of the components weighted by coefficients (components,)."""
        return type(self)(self.centre, (coefficients @ self.components).astype(np.float32)[None])

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Both attributes by name, float32, for a model file."""
        return {"centre": self.centre, "components": self.components}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """Inverse of ``to_arrays``; other names among the arrays are ignored."""
        return cls(arrays["centre"], arrays["components"])


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Log-odds as a linear function of features.

    Attributes:
        coefficients: float64 (features,).
        intercept: constant term.
        calibration: fitted to leave-one-out predictions.
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
        """Fit with the penalty that has the least leave-one-out error.

        Args:
            features: (problems, features).
            values: float64 (problems,), in [0, 1].
            weights: float64 (problems,), number of samples behind each value.
        """
        right = weights * values
        # One more sample of either outcome (Laplace's rule of succession) keeps the log-odds finite.
        log_odds = np.log((right + 1) / (weights - right + 1))
        ridge = RidgeCV(_PENALTIES, scoring="neg_mean_squared_error", store_cv_results=True)
        ridge.fit(features.astype(np.float64), log_odds, sample_weight=weights / weights.mean())
        # Leave-one-out predictions, since predictions of its own training problems are overconfident.
        held_out = ridge.cv_results_[:, np.flatnonzero(ridge.alpha_ == _PENALTIES)[0]]
        return cls(
            ridge.coef_, float(ridge.intercept_), PredictionCalibration.fit(held_out, values, weights)
        )

    def log_odds(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Uncalibrated log-odds, float64 (problems,)."""
        return np.asarray(features @ self.coefficients + self.intercept, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class LinearMethod(PredictionMethod):
    """Ridge regression of log-odds on the principal components of hidden states.

    Attributes:
        components: maximum number of principal components. More did not help and take longer.
    """

    name: ClassVar[str] = "linear"

    components: int = 128

    def _fit(
        self, inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> FittedMethod:
        reduction = Reduction.fit(inputs.states, self.components, seed)
        ridge = Ridge.fit(reduction.apply(inputs), values, weights)
        return FittedLinear(reduction.folded(ridge.coefficients), ridge.intercept, ridge.calibration)


@dataclass(frozen=True, slots=True, eq=False)
class FittedLinear(StorableFit):
    """Calibrated linear function of hidden states."""

    reduction: Reduction
    intercept: float
    calibration: PredictionCalibration

    def predict(self, inputs: PredictorInputs) -> Prediction:
        """Predict problems; see ``FittedMethod``."""
        log_odds = self.reduction.apply(inputs)[:, 0].astype(np.float64) + self.intercept
        return self.calibration.prediction(self.calibration.mean(log_odds))

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Arrays of the fit by name; see ``StorableFit``."""
        return {
            **self.reduction.to_arrays(),
            "intercept": np.array([self.intercept], np.float32),
            "calibration": self.calibration.to_array(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """Fit with the given arrays; see ``StorableFit``."""
        return cls(
            Reduction.from_arrays(arrays),
            float(arrays["intercept"][0]),
            PredictionCalibration.from_array(arrays["calibration"]),
        )

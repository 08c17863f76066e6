"""What a method of prediction is: it learns one number in [0, 1] about problems from other problems."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from testbudget.rewards.errors import UserError

"""From a model's log-odds to beliefs that can be taken at their word."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictorInputs:
    """What may be known of problems before their first test.

    Attributes:
        states: float32 of shape (problems, features): hidden states, one or several layers side by side;
            no feature at all if there are none.
        texts: the prompts, one a problem; none at all if they are not to be had.

    Raises:
        UserError: states that are no such table or not finite, or another number of texts.
    """

    states: NDArray[np.float32]
    texts: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.states.ndim != 2:
            raise UserError(
                f"hidden states must be a table of problems x features but have shape {self.states.shape}"
            )
        if not np.isfinite(self.states).all():
            raise UserError("hidden states must be finite numbers but some are not")
        if len(self.texts) not in {0, len(self.states)}:
            raise UserError(
                "there must be one text for each problem or none "
                f"but got {len(self.texts)} texts and {len(self.states)} problems"
            )

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """The same of some problems."""
        chosen = np.arange(len(self))[rows].tolist()
        return type(self)(self.states[rows], [self.texts[row] for row in chosen] if self.texts else ())


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What is believed of problems.

    Attributes:
        mean: float64 (problems,), within ``MIN_RATE`` and ``MAX_RATE``.
        deviation: float64 (problems,), standard deviation of the belief: how far the value would lie
            from ``mean`` if it were measured on endlessly many samples. 0 where a method knows nothing
            of it.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.mean)


@dataclass(frozen=True, slots=True)
class PredictionCalibration:
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
        mean = float(np.clip(np.average(values, weights=weights), MIN_RATE, MAX_RATE))
        slope, intercept = 0.0, float(logit(mean))
        outcomes = np.repeat([1, 0], len(values))
        counts = np.concatenate([shares * values, shares * (1 - values)])
        if counts[outcomes == 1].any() and counts[outcomes == 0].any():
            platt = LogisticRegression().fit(np.tile(log_odds, 2)[:, None], outcomes, sample_weight=counts)
            # A falling curve means that the model found nothing: held-out means run against their labels.
            if platt.coef_[0, 0] > 0:
                slope, intercept = float(platt.coef_[0, 0]), float(platt.intercept_[0])
        means = expit(slope * log_odds + intercept).clip(MIN_RATE, MAX_RATE)
        variance = means * (1 - means)
        # E (value - mean)^2 = variance (spread + (1 - spread) / samples), solved for the spread.
        excess = shares @ ((values - means) ** 2 - variance / weights)
        room = shares @ (variance * (1 - 1 / weights))
        # Where one sample stands behind each value, its noise and the spread cannot be told apart.
        spread = float(np.clip(excess / room, 0, 1)) if room > 0 else 0.0
        return cls(slope, intercept, spread)

    def mean(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated means of any shape."""
        return np.asarray(expit(self.slope * log_odds + self.intercept).clip(MIN_RATE, MAX_RATE))

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


MIN_RATE, MAX_RATE = 0.01, 0.99
"""Bounds of a predicted mean: no predictor is sure, and a policy must never divide by a zero chance."""


def single_threaded() -> AbstractContextManager[object]:
    """Leaves linear algebra one thread of this process.

    The pieces of work are small: on free cores a second thread saves little, and on busy ones each piece
    waits for it, so that all takes three times as long.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


class Fitted(ABC):
    """What a method has learned from some problems."""

    @abstractmethod
    def predict(self, inputs: PredictorInputs) -> Prediction:
        """Predicts problems, each for itself: what else is asked at the same time does not matter."""


class Method(ABC):
    """Learns one target from problems' hidden states or texts; keeps nothing between two fits.

    A new method supplies ``name`` and ``_fit``; one that trains many models together quicker than one
    after the other overrides ``_fit_each`` as well.
    """

    name: ClassVar[str]
    """What reports and model cards call it."""

    def fit(
        self,
        inputs: PredictorInputs,
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        *,
        seed: int,
    ) -> Fitted:
        """Learns from problems, no two of which are the same one.

        Args:
            inputs: what is known of them.
            values: what is to be predicted, (problems,) in [0, 1].
            weights: number of samples behind each value, same shape.
            seed: any integer. The same seed and problems give the same result.

        Raises:
            UserError: labels that cannot be learned from, or no texts where the method reads them.
        """
        return self.fit_each(inputs, values, weights, [np.arange(len(inputs))], seed=seed)[0]

    def fit_each(
        self,
        inputs: PredictorInputs,
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        parts: Sequence[NDArray[np.intp]],
        *,
        seed: int,
    ) -> list[Fitted]:
        """As ``fit``, once for each part: the rows of the problems that may be learned from."""
        check_training(inputs, values, weights)
        with single_threaded():
            return self._fit_each(inputs, values, weights, parts, seed % 2**32)

    def _fit_each(
        self,
        inputs: PredictorInputs,
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        parts: Sequence[NDArray[np.intp]],
        seed: int,
    ) -> list[Fitted]:
        return [self._fit(inputs[part], values[part], weights[part], seed) for part in parts]

    @abstractmethod
    def _fit(
        self, inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> Fitted:
        """``fit`` on checked labels; the seed is one that scikit-learn takes (32 bits)."""


def check_training(
    inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64]
) -> None:
    """Refuses labels that no method can learn from; arguments and errors as in ``Method.fit``."""
    if not len(values) or not len(inputs) == len(values) == len(weights):
        raise UserError(
            "training needs at least one problem, and a value and a sample count for each, "
            f"but got {len(inputs)} problems, {len(values)} values and {len(weights)} counts"
        )
    for value in values[~((values >= 0) & (values <= 1))][:1]:
        raise UserError(f"a value to learn must lie in [0, 1] but got {value}")
    for weight in weights[~((weights > 0) & np.isfinite(weights))][:1]:
        raise UserError(f"a value to learn must rest on a positive number of samples but got {weight}")

"""What is believed of each problem before its first test, and how good such beliefs turn out to be."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ConstantInputWarning, spearmanr

from rewards.errors import UserError

LOWEST, HIGHEST = 0.01, 0.99
"""Bounds of a believed pass rate: no predictor is sure, and a policy must never divide by a zero chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """A predicted pass rate for each problem.

    Attributes:
        pass_rate: float64 of shape (problems,), within ``LOWEST`` and ``HIGHEST``: the chance that one
            sample of the policy model solves the problem.
        out_of_fold: how many of the problems were among the training problems, and so were predicted by
            a model that was fitted without them.
    """

    pass_rate: NDArray[np.float64]
    out_of_fold: int = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """How predicted pass rates compare with measured ones.

    Attributes:
        spearman: rank correlation in [-1, 1]; 0 where either side is constant and so ranks nothing.
        brier: mean squared error against the outcome of one sample, averaged over each problem's
            samples, then over problems. Knowing all rates exactly leaves the mean of λ(1 − λ).
    """

    spearman: float
    brier: float


def constant(
    train_rates: NDArray[np.float64], train_weights: NDArray[np.float64], problems: int
) -> Beliefs:
    """The same belief for every problem: the share of all training samples that were right.

    The baseline for every predictor, and what is left where there are no hidden states. It ranks
    nothing, and it is one number for all, also for problems that were trained on.

    Args:
        train_rates: measured pass rates, shape (training problems,).
        train_weights: number of samples behind each, same shape.
        problems: how many problems to believe it of.

    Raises:
        UserError: see ``check_training``.
    """
    check_training(train_rates, train_weights)
    mean = float(np.average(train_rates, weights=train_weights))
    return Beliefs(np.full(problems, np.clip(mean, LOWEST, HIGHEST)))


def score(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> Scores:
    """Scores of predicted against measured pass rates, both of shape (problems,)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        correlation = float(spearmanr(predicted, measured).statistic)
    errors = measured * (1 - predicted) ** 2 + (1 - measured) * predicted**2
    return Scores(spearman=0.0 if np.isnan(correlation) else correlation, brier=float(errors.mean()))


def check_training(rates: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
    """Refuses labels that no predictor can learn from.

    Raises:
        UserError: no rate at all, another number of weights, a rate outside [0, 1], or a weight that is
            not positive.
    """
    if not len(rates) or len(rates) != len(weights):
        raise UserError(
            "training needs at least one pass rate and a sample count for each "
            f"but got {len(rates)} rates and {len(weights)} counts"
        )
    for rate in rates[~((rates >= 0) & (rates <= 1))][:1]:
        raise UserError(f"a pass rate must lie in [0, 1] but got {rate}")
    for weight in weights[~(weights > 0)][:1]:
        raise UserError(f"a pass rate must rest on at least one sample but got {weight}")

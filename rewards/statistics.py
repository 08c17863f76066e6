"""Intervals of everything that a comparison states, from one bootstrap over problems and orders."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
_COVERED = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: NDArray[np.float64]) -> Self:
        """The percentile interval of a figure's resampled values, which may be infinite."""
        low, high = np.quantile(resampled, _COVERED, method="inverted_cdf")
        return cls(float(value), float(low), float(high))


def resampled_means(
    values: NDArray[np.float64], rng: np.random.Generator, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Means over problems and orders, both drawn anew with replacement.

    All columns see the same draws, so differences between them are paired: by problem and by order.

    Args:
        values: shape (orders, problems, columns).
        rng: draws.
        resamples: how often.

    Returns:
        Shape (resamples, columns).
    """
    orders, problems, columns = values.shape
    order_weights = rng.multinomial(orders, np.full(orders, 1 / orders), size=resamples) / orders
    problem_weights = rng.multinomial(problems, np.full(problems, 1 / problems), size=resamples) / problems
    means = np.zeros((resamples, columns))
    for order, of_problems in enumerate(values):
        means += order_weights[:, [order]] * (problem_weights @ of_problems)
    return means


def where_reached(
    accuracy: NDArray[np.float64], curve: NDArray[np.float64], spent: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where a curve of accuracy first reaches an accuracy, between its points by straight lines.

    Args:
        accuracy: shape (resamples,), to be reached.
        curve: shape (resamples, points), accuracy at each point.
        spent: shape (points,), tests at each point, ascending.

    Returns:
        Tests, shape (resamples,); infinite where the curve never gets there.
    """
    best = np.maximum.accumulate(curve, axis=1)
    rows = np.arange(len(best))
    after = (best < accuracy[:, np.newaxis]).sum(axis=1)
    end = np.minimum(after, len(spent) - 1)
    start = np.maximum(end - 1, 0)
    rise = best[rows, end] - best[rows, start]
    share = np.divide(accuracy - best[rows, start], rise, out=np.zeros(len(best)), where=rise > 0)
    reached = spent[start] + np.where(after > 0, share, 0.0) * (spent[end] - spent[start])
    return np.where(after == len(spent), np.inf, reached)


def quintiles(values: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Positions of the fifths of ``values``, from the lowest; equal values are parted by position.

    Fewer than five values are parts of one each.
    """
    return np.array_split(np.argsort(values, kind="stable"), min(5, len(values)))

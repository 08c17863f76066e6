"""Bootstrap intervals (Efron and Tibshirani 1993, 'An introduction to the bootstrap').

Means over permutations and problems are resampled by weights (``bootstrap_means``); other scores,
for example rank correlations, by positions (``bootstrap_scores``).
"""

# Not scipy.stats.bootstrap: on means of the sizes that comparisons have, it is 6 to 9 times slower. One
# resample with an undefined score makes its whole interval NaN; here such a resample is left out. It also
# interpolates between resamples, which fails next to an infinite one.

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Number of resamples of means."""

SCORE_RESAMPLES = 1000
"""Number of resamples of other scores, which take longer."""

_OBSERVED_LEVELS = (0.025, 0.975)
_INTERPOLATED_LEVELS = (0.025000000000000022, 0.975)  # (1 - 0.95) / 2 and (1 + 0.95) / 2 as floats
_POSITIONS_AT_ONCE = 2**20  # bounds the memory


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % percentile bootstrap interval; all three are NaN where it is undefined."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: NDArray[np.float64]) -> Self:
        """The interval with two of the resampled values as bounds. Values may be infinite.

        Args:
            value: figure of the whole sample.
            resampled: float64 (resamples,), without NaN.
        """
        low, high = np.quantile(resampled, _OBSERVED_LEVELS, method="inverted_cdf")
        return cls(float(value), float(low), float(high))

    @classmethod
    def of_defined(cls, value: float, resampled: NDArray[np.float64]) -> Self:
        """The interval of the resampled values that are not NaN, with interpolated bounds.

        All three numbers are NaN if the value, or every resampled value, is NaN.
        """
        defined = resampled[~np.isnan(resampled)]
        if np.isnan(value) or not len(defined):
            return cls(float("nan"), float("nan"), float("nan"))
        low, high = np.quantile(defined, _INTERPOLATED_LEVELS)
        return cls(float(value), float(low), float(high))


def bootstrap_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means over permutations and problems, of the values themselves and of their resamples.

    Functions of the columns, such as differences, can be computed row by row and get their intervals from
    ``intervals``. Calls with one seed and one number of permutations and problems use the same draws, so
    that their results are paired.

    Args:
        values: float64 (permutations, problems, columns), without NaN.
        seed: seed of the draws.

    Returns:
        float64 (1 + RESAMPLES, columns); the first row holds the means of the values themselves.
    """
    resampled = resampled_means(values, np.random.default_rng(seed))
    return np.concatenate([values.mean(axis=(0, 1))[np.newaxis], resampled])


def intervals(means: NDArray[np.float64]) -> list[Interval]:
    """Intervals of the columns of a result of ``bootstrap_means``, or of a function of its rows.

    Args:
        means: float64 (1 + RESAMPLES, columns), the values themselves first.
    """
    return [Interval.of(column[0], column[1:]) for column in means.T]


def resampled_means(
    values: NDArray[np.float64], rng: np.random.Generator, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Means over permutations and problems, both drawn with replacement.

    All columns use the same draws, so that differences between columns are paired by problem and
    permutation.

    Args:
        values: float64 (permutations, problems, columns), without NaN.
        rng: draws the resamples.
        resamples: number of resamples.

    Returns:
        float64 (resamples, columns).
    """
    permutations, problems, columns = values.shape
    permutation_weights = (
        rng.multinomial(permutations, np.full(permutations, 1 / permutations), size=resamples)
        / permutations
    )
    problem_weights = rng.multinomial(problems, np.full(problems, 1 / problems), size=resamples) / problems
    means = np.zeros((resamples, columns))
    for permutation, of_problems in enumerate(values):
        means += permutation_weights[:, [permutation]] * (problem_weights @ of_problems)
    return means


def bootstrap_scores(
    scores: Callable[[NDArray[np.intp]], NDArray[np.float64]], items: int, seed: int
) -> list[Interval]:
    """Scores of a sample, with intervals by resampling its items with replacement.

    Args:
        scores: function from positions, intp (rows, items), to scores, float64 (scores, rows); NaN where a
            score is undefined.
        items: number of items, at least 1.
        seed: seed of the draws.
    """
    rng = np.random.default_rng(seed)
    values = scores(np.arange(items)[np.newaxis])[:, 0]
    at_once = max(1, _POSITIONS_AT_ONCE // items)
    resampled = np.concatenate(
        [
            scores(rng.integers(items, size=(min(at_once, SCORE_RESAMPLES - start), items)))
            for start in range(0, SCORE_RESAMPLES, at_once)
        ],
        axis=1,
    )
    return [Interval.of_defined(*pair) for pair in zip(values, resampled, strict=True)]


def first_crossing(
    accuracy: NDArray[np.float64], curve: NDArray[np.float64], tests: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The number of tests at which an accuracy curve first reaches an accuracy, by linear interpolation.

    Args:
        accuracy: float64 (resamples,), the accuracy to reach.
        curve: float64 (resamples, points), accuracy at each point.
        tests: float64 (points,), number of tests at each point, ascending.

    Returns:
        Number of tests, float64 (resamples,); infinite where the curve never reaches the accuracy.
    """
    best = np.maximum.accumulate(curve, axis=1)
    rows = np.arange(len(best))
    after = (best < accuracy[:, np.newaxis]).sum(axis=1)
    end = np.minimum(after, len(tests) - 1)
    start = np.maximum(end - 1, 0)
    rise = best[rows, end] - best[rows, start]
    share = np.divide(accuracy - best[rows, start], rise, out=np.zeros(len(best)), where=rise > 0)
    reached = tests[start] + np.where(after > 0, share, 0.0) * (tests[end] - tests[start])
    return np.where(after == len(tests), np.inf, reached)


def equal_parts(values: NDArray[np.float64], parts: int) -> list[NDArray[np.intp]]:
    """Positions of the values, intp, in parts of equal size from the lowest value.

    Sizes differ by at most 1. Ties are split by position. With fewer values than parts, each value is a
    part.
    """
    return np.array_split(np.argsort(values, kind="stable"), min(parts, len(values)))

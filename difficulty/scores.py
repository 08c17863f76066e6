"""How good predictions are, with intervals over problems."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

BINS = 10
RESAMPLES = 1000
_LEVEL = 0.95
_AT_ONCE = 2**20  # numbers resampled at once: bounds the memory


@dataclass(frozen=True, slots=True)
class ScoreInterval:
    """A figure and its 95 % percentile bootstrap interval over problems (Efron and Tibshirani 1993).

    All three are NaN where the figure is not defined.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scores:
    """How predictions compare with what was measured; also how far one method's scores exceed another's.

    Attributes:
        spearman: rank correlation in [-1, 1]; 0 where either side is constant and so ranks nothing.
        auroc: chance that a problem with the event is predicted higher than one without, ties counting
            half (Mann and Whitney 1947); NaN where all problems are on one side.
        brier: mean squared error, weighted by samples (Brier 1950). Where the value measured is a share of
            right samples, the error against single outcomes is this plus the mean of value (1 − value),
            which no prediction can change.
        calibration_error: expected calibration error: problems in ``BINS`` bins of equal weight by
            prediction, Σ_bins |Σ weight (prediction − measured)| / Σ weight (Naeini et al. 2015, with
            bins of equal mass as Nixon et al. 2019, arXiv 1904.01685). Equal predictions share a bin. A
            perfect prediction of noisy values still scores above 0, and resampling adds noise: an interval
            lies rather too high than too low.
    """

    spearman: ScoreInterval
    auroc: ScoreInterval
    brier: ScoreInterval
    calibration_error: ScoreInterval


def score(
    predicted: NDArray[np.float64],
    measured: NDArray[np.float64],
    weights: NDArray[np.float64],
    event: NDArray[np.bool_],
    *,
    seed: int = 0,
) -> Scores:
    """Scores of predictions.

    Args:
        predicted: means, shape (problems,).
        measured: the values, same shape and units.
        weights: number of samples behind each, same shape.
        event: the yes-or-no question that ``auroc`` judges the ranking by, same shape.
        seed: of the resampling.

    Raises:
        ValueError: without problems.
    """
    return _bootstrap(
        lambda rows: _figures(predicted[rows], measured[rows], weights[rows], event[rows]),
        len(predicted),
        seed,
    )


def score_difference(
    predicted: NDArray[np.float64],
    other: NDArray[np.float64],
    measured: NDArray[np.float64],
    weights: NDArray[np.float64],
    event: NDArray[np.bool_],
    *,
    seed: int = 0,
) -> Scores:
    """How far the scores of ``predicted`` exceed those of ``other``, both on each resample (paired).

    Args and raises: see ``score``.
    """

    def exceed(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        truth = measured[rows], weights[rows], event[rows]
        return _figures(predicted[rows], *truth) - _figures(other[rows], *truth)

    return _bootstrap(exceed, len(predicted), seed)


def _bootstrap(
    figures: Callable[[NDArray[np.intp]], NDArray[np.float64]], problems: int, seed: int
) -> Scores:
    """Figures of all problems, and the quantiles of the same on resampled ones."""
    if problems < 1:
        raise ValueError("scores need at least 1 problem but got none")
    rng = np.random.default_rng(seed)
    values = figures(np.arange(problems)[None])[:, 0]
    at_once = max(1, _AT_ONCE // problems)
    resampled = np.concatenate(
        [
            figures(rng.integers(problems, size=(min(at_once, RESAMPLES - start), problems)))
            for start in range(0, RESAMPLES, at_once)
        ],
        axis=1,
    )
    estimates = []
    for value, spread in zip(values, resampled, strict=True):
        # A resample may lack one side of the event; what it says of the others counts.
        defined = spread[~np.isnan(spread)]
        if np.isnan(value) or not len(defined):
            estimates.append(ScoreInterval(float("nan"), float("nan"), float("nan")))
        else:
            low, high = np.quantile(defined, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
            estimates.append(ScoreInterval(float(value), float(low), float(high)))
    return Scores(*estimates)


def _figures(
    predicted: NDArray[np.float64],
    measured: NDArray[np.float64],
    weights: NDArray[np.float64],
    event: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The four figures of each resample, shape (4, resamples), from arrays (resamples, problems)."""
    lowest = rankdata(predicted, method="min", axis=1)
    highest = rankdata(predicted, method="max", axis=1)
    ranks = (lowest + highest) / 2
    shares = weights / weights.sum(axis=1, keepdims=True)
    errors = predicted - measured
    return np.stack(
        [
            _correlation(ranks, rankdata(measured, axis=1)),
            _auroc(ranks, event),
            (shares * errors**2).sum(axis=1),
            _calibration_error(predicted, shares, errors, lowest.astype(np.intp), highest.astype(np.intp)),
        ]
    )


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    left = left - left.mean(axis=1, keepdims=True)
    right = right - right.mean(axis=1, keepdims=True)
    size = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return np.asarray((left * right).sum(axis=1) / np.where(size > 0, size, 1))


def _auroc(ranks: NDArray[np.float64], event: NDArray[np.bool_]) -> NDArray[np.float64]:
    yes = event.sum(axis=1)
    no = event.shape[1] - yes
    wins = (ranks * event).sum(axis=1) - yes * (yes + 1) / 2
    pairs = (yes * no).astype(np.float64)
    return np.asarray(np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _calibration_error(
    predicted: NDArray[np.float64],
    shares: NDArray[np.float64],
    errors: NDArray[np.float64],
    lowest: NDArray[np.intp],
    highest: NDArray[np.intp],
) -> NDArray[np.float64]:
    resamples = len(predicted)
    by_prediction = np.take_along_axis(shares, predicted.argsort(axis=1), axis=1)
    below = np.pad(by_prediction.cumsum(axis=1), ((0, 0), (1, 0)))
    # The middle of the weight that a problem and its equals take up decides their bin.
    middle = (
        np.take_along_axis(below, lowest - 1, axis=1) + np.take_along_axis(below, highest, axis=1)
    ) / 2
    bins = np.minimum((BINS * middle).astype(np.intp), BINS - 1) + BINS * np.arange(resamples)[:, None]
    sums = np.bincount(bins.ravel(), weights=(shares * errors).ravel(), minlength=BINS * resamples)
    return np.asarray(np.abs(sums).reshape(resamples, BINS).sum(axis=1))

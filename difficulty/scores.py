"""Scores of predictions, with bootstrap intervals over problems."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from testbudget.rewards.bootstrap import Interval, bootstrap_scores

BINS = 10
"""Number of bins of the calibration error."""


@dataclass(frozen=True, slots=True)
class PredictionScores:
    """Scores of predicted values against measured ones.

    Attributes:
        spearman: rank correlation in [-1, 1]; 0 if either side is constant.
        auroc: probability that a problem with the event is predicted higher than one without, ties counting
            1/2 (Mann and Whitney 1947); NaN if all or no problems have the event.
        brier: mean squared error, weighted by samples (Brier 1950). For shares of correct samples, the
            error against single outcomes is larger by the mean of value (1 - value) for every prediction.
        calibration_error: expected calibration error over ``BINS`` bins of equal weight by prediction,
            sum_bins |sum weight (prediction - measured)| / sum weight (Naeini et al. 2015; bins of equal
            mass as in Nixon et al. 2019, arXiv 1904.01685). Equal predictions share a bin. It is biased
            upwards: perfect predictions of noisy values score above 0, and resampling adds noise.
    """

    spearman: Interval
    auroc: Interval
    brier: Interval
    calibration_error: Interval


def score_predictions(
    predicted: NDArray[np.float64],
    measured: NDArray[np.float64],
    weights: NDArray[np.float64],
    event: NDArray[np.bool_],
    *,
    seed: int = 0,
) -> PredictionScores:
    """Scores of predicted means against measured values.

    Args:
        predicted: float64 (problems,).
        measured: float64 (problems,), in the same units.
        weights: float64 (problems,), number of samples behind each measured value.
        event: bool (problems,), the event that ``auroc`` is about.
        seed: seed of the resampling.

    Raises:
        ValueError: there are no problems.
    """
    return _bootstrap(
        lambda rows: _scores(predicted[rows], measured[rows], weights[rows], event[rows]),
        len(predicted),
        seed,
    )


def _bootstrap(
    scores: Callable[[NDArray[np.intp]], NDArray[np.float64]], problems: int, seed: int
) -> PredictionScores:
    """Scores of all problems with intervals from resampled problems."""
    if problems < 1:
        raise ValueError("scores need at least 1 problem but got none")
    return PredictionScores(*bootstrap_scores(scores, problems, seed))


def _scores(
    predicted: NDArray[np.float64],
    measured: NDArray[np.float64],
    weights: NDArray[np.float64],
    event: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The four scores of each resample, float64 (4, resamples), from arrays (resamples, problems)."""
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
    # Equal predictions get the bin that holds the middle of their weight.
    middle = (
        np.take_along_axis(below, lowest - 1, axis=1) + np.take_along_axis(below, highest, axis=1)
    ) / 2
    bins = np.minimum((BINS * middle).astype(np.intp), BINS - 1) + BINS * np.arange(resamples)[:, None]
    sums = np.bincount(bins.ravel(), weights=(shares * errors).ravel(), minlength=BINS * resamples)
    return np.asarray(np.abs(sums).reshape(resamples, BINS).sum(axis=1))

"""Fit of p_change to recorded tests, without labels."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.change import ChangeModel, change_features_by, change_of_picks
from testbudget.rewards.confidence.model import LogisticModel
from testbudget.rewards.prefix_statistics import PrefixStatistics

_COUNTS = (1, 2, 3, 5, 8, 12, 20, 30)  # numbers of tests that give rows
_PRIOR_ROWS = 10.0  # penalty on standardised weights less those of the prior, in rows of weight 1
_STEPS = 50
_CONVERGED = 1e-8
_MAX_LOG_ODDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class ChangeRows:
    """Training data of one problem in one order of its tests, a row for each number of tests.

    Attributes:
        features: float64 (rows, features), see ``CHANGE_FEATURES``; NaN where unknown.
        changes: float64 (rows,) in [0, 1], see ``change_of_picks``.
        weights: float64 (rows,), ``1 / (1 + m)``: a row with many tests is like the row before it.
    """

    features: NDArray[np.float64]
    changes: NDArray[np.float64]
    weights: NDArray[np.float64]


def change_rows(
    statistics: PrefixStatistics,
    winners: NDArray[np.bool_] | NDArray[np.int64],
    groups: NDArray[np.intp],
) -> ChangeRows:
    """Training data of one problem.

    Args:
        statistics: statistics after 0, 1, ..., all tests; with the batch, if it is one of many.
        winners: winners of the rule after as many tests, bool (tests + 1, candidates); or int64, number of
            winners that each column stands for.
        groups: intp (candidates,), output group of each candidate after all tests.
    """
    counts = np.array([count for count in _COUNTS if count < len(winners) - 1], np.intp)
    return ChangeRows(
        change_features_by(statistics.at(counts), winners[counts]),
        change_of_picks(groups, winners, counts.tolist()),
        1.0 / (1.0 + counts.astype(np.float64)),
    )


def fit_change_model(
    rows: Iterable[ChangeRows], source: str, prior: ChangeModel | None = None
) -> ChangeModel:
    """Fit p_change: maximum likelihood less a ridge penalty on the distance to the prior's weights.

    Without a prior, weights are drawn to 0. The intercept is not penalised. Newton's method.

    Args:
        rows: training data; rows without any are allowed.
        source: description of the runs.
        prior: model that few rows leave as it is.

    Raises:
        ValueError: there is no row, and no prior.
    """
    every = [one for one in rows if len(one.changes)]
    if not every:
        if prior is None:
            raise ValueError("a model of p_change needs rows but got none")
        return ChangeModel(source, prior.model)
    features = np.concatenate([one.features for one in every])
    changes = np.concatenate([one.changes for one in every])
    weights = np.concatenate([one.weights for one in every])
    known = ~np.isnan(features)
    shares = known * weights[:, np.newaxis]
    total = np.maximum(shares.sum(axis=0), 1e-9)
    filled = np.where(known, features, 0.0)
    means = (filled * shares).sum(axis=0) / total
    spread = np.sqrt(((filled - means) ** 2 * shares).sum(axis=0) / total)
    spread[spread < 1e-9] = np.inf  # a constant feature keeps the weight of the prior
    design = np.ones((len(features), features.shape[1] + 1))
    design[:, 1:] = np.where(known, filled - means, 0.0) / spread
    prior_weights = np.zeros(len(means)) if prior is None else prior.model.weights
    constant = np.isinf(spread)
    center = np.append(0.0, np.where(constant, 0.0, prior_weights * np.where(constant, 0.0, spread)))
    penalty = np.append(1e-3, np.full(len(means), _PRIOR_ROWS))
    fitted = center.copy()
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ fitted, -_MAX_LOG_ODDS, _MAX_LOG_ODDS)))
        gradient = design.T @ (weights * (changes - p)) - penalty * (fitted - center)
        hessian = (design.T * (weights * p * (1 - p))) @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        fitted += step
        if np.abs(step).max() < _CONVERGED:
            break
    own = np.where(constant, prior_weights, fitted[1:] / spread)
    return ChangeModel(source, LogisticModel(float(fitted[0]), means, own))

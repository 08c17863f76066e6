"""Weights of the default rule and models of p_correct, fitted to some regimes to be judged on others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from regimes import DrawnTests, Regime, draw

from testbudget.rewards.confidence.model import ConfidenceTarget, LogisticModel
from testbudget.rewards.confidence.pick import features_of_each, pick_features_by
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.batch import combine_batch
from testbudget.rewards.selection.calibrated import Calibrated, ScoreWeights, calibrations_of, score_terms

ORDERS = 2
_PROBLEMS = 200.0  # as which a family counts
_PENALTY = 50.0  # families differ more than problems of one, so weights are held near the round ones
_STEPS, _MAX_STEP = 40, 0.2
_CANDIDATES = 15  # drawn from each problem; more of the same problem add little
_EVENNESS = 3  # position of the term of strong pools with M1
_PRIORS = {
    "weak": (1.0, 0.5, 1.0, 0.0, 0.6),
    "by_votes": (1.0, 1.0),
    "strong": (1.0, 0.5, 1.0, 0.0, 0.0),
}
"""Weights that the fitted ones are drawn to, round numbers that no family was asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class FitRows:
    """Columns of candidates of all problems of a regime after all counts, for the weights of one expert.

    Attributes:
        expert: field of ``ScoreWeights``.
        terms: float64 (rows, terms).
        offsets: float64 (rows,), log share of the column in its output group.
        right: float64 (rows,), share of the column among the right ones; every problem has one.
        starts: intp (choices,), first row of each problem and count.
    """

    expert: str
    terms: NDArray[np.float64]
    offsets: NDArray[np.float64]
    right: NDArray[np.float64]
    starts: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Picks, or candidates, with their labels.

    Attributes:
        features: float64 (rows, features).
        right: float64 (rows,), share of correct ones.
        folds: intp (rows,), fold of the problem of each.
    """

    features: NDArray[np.float64]
    right: NDArray[np.float64]
    folds: NDArray[np.intp]

    @classmethod
    def of(cls, parts: Sequence[tuple[NDArray[np.float64], NDArray[np.float64], int]]) -> "Judged":
        """Rows of many problems, by features, labels and fold of each."""
        return cls(
            np.concatenate([features for features, _, _ in parts]),
            np.concatenate([right for _, right, _ in parts]),
            np.concatenate([np.full(len(right), fold) for _, right, fold in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class FitData:
    """Quantities fitted to one regime.

    Attributes:
        regime: the regime.
        rows: for the weights of the experts that its strength asks for.
        picks: picks of the default rule.
        candidates: some candidates of each problem.
    """

    regime: Regime
    rows: list[FitRows]
    picks: Judged
    candidates: Judged


def fit_data(regime: Regime, counts: Sequence[int], seed: int) -> FitData:
    """Data of a regime in a few orders of its tests."""
    by_expert: dict[str, list[tuple[NDArray[np.float64], ...]]] = {}
    picks, candidates = [], []
    for order in range(ORDERS):
        drawn = draw(regime, order, counts, seed)
        batch = combine_batch([one.part for one in drawn])
        rng = np.random.default_rng([seed, order])
        for one in drawn:
            statistics, fold = one.statistics.with_batch(batch), one.recorded.fold
            won = Calibrated().winners_by(statistics)
            picks.append((pick_features_by(statistics, won), one.accuracy(Calibrated(), statistics), fold))
            some = rng.permutation(len(one.recorded.correct))[:_CANDIDATES]
            features = features_of_each(statistics)[:, one.recorded.merged.column[some]]
            right = np.tile(one.recorded.correct[some].astype(np.float64), len(features))
            candidates.append((features.reshape(-1, features.shape[-1]), right, fold))
            _add_rows(by_expert, one, statistics)
    rows = []
    for expert, parts in by_expert.items():
        lengths = [len(part[1]) for part in parts]
        terms, offsets, right = (np.concatenate(column) for column in zip(*parts, strict=True))
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        rows.append(FitRows(expert, terms, offsets, right, starts))
    return FitData(regime, rows, Judged.of(picks), Judged.of(candidates))


def _add_rows(
    by_expert: dict[str, list[tuple[NDArray[np.float64], ...]]],
    drawn: DrawnTests,
    statistics: PrefixStatistics,
) -> None:
    column = drawn.recorded.merged.column
    right = np.bincount(column, drawn.recorded.correct, len(statistics.sizes)) / statistics.sizes
    calibrations = calibrations_of(statistics)
    shares = statistics.sizes / statistics.output_group_sizes
    for strong in (False, True):
        used = np.array([one.strength >= 0.5 for one in calibrations]) == strong
        if not used.any():
            continue
        expert = "strong" if strong else "weak" if statistics.has_outputs else "by_votes"
        terms = score_terms(statistics, calibrations, strong=strong)
        for row in np.flatnonzero(used):
            weights = right * shares[row]
            if weights.sum() > 0 and (right < 1).any():
                by_expert.setdefault(expert, []).append(
                    (terms[row], np.log(shares[row]), weights / weights.sum())
                )


def fitted_weights(data: Sequence[FitData]) -> ScoreWeights:
    """Weights of the score by conditional logit: the right group among all of a problem."""
    return ScoreWeights(**{expert: _conditional_logit(data, expert) for expert in _PRIORS})


def _conditional_logit(data: Sequence[FitData], expert: str) -> tuple[float, ...]:
    prior = np.array(_PRIORS[expert])
    parts = [(one.regime.family, rows) for one in data for rows in one.rows if rows.expert == expert]
    families = [family for family, _ in parts]
    weights = prior.copy()
    # Evenness differs between families, and one family alone cannot say what it is worth.
    held = [_EVENNESS] if expert == "strong" and len(set(families)) < 2 else []
    for _ in range(_STEPS):
        gradient, hessian = _PENALTY * (prior - weights), _PENALTY * np.eye(len(prior))
        for family, rows in parts:
            scale = _PROBLEMS / families.count(family) / len(rows.starts)
            lengths = np.diff(np.append(rows.starts, len(rows.offsets)))
            choice = np.repeat(np.arange(len(rows.starts)), lengths)
            scores = rows.terms @ weights + rows.offsets
            odds = np.exp(scores - np.maximum.reduceat(scores, rows.starts)[choice])
            shares = odds / np.add.reduceat(odds, rows.starts)[choice]
            mean = np.add.reduceat(shares[:, np.newaxis] * rows.terms, rows.starts)
            # The logarithm of the sum over all right columns, whichever of them is picked.
            right = odds * (rows.right > 0)
            right = right / np.add.reduceat(right, rows.starts)[choice]
            gradient += scale * (right @ rows.terms - mean.sum(axis=0))
            hessian += scale * ((rows.terms.T * shares) @ rows.terms - mean.T @ mean)
        gradient[held] = 0
        hessian[held, :] = hessian[:, held] = 0
        hessian[held, held] = 1
        weights = weights + np.clip(np.linalg.solve(hessian, gradient), -_MAX_STEP, _MAX_STEP)
    return tuple(weights.tolist())


def fitted_model(
    data: Sequence[FitData], target: ConfidenceTarget, without_fold: int = -1
) -> LogisticModel:
    """Model of p_correct; families have the same weight, and so have regimes of one family.

    Args:
        data: regimes to fit it to.
        target: picks or candidates.
        without_fold: fold of problems that are left out.
    """
    families = [one.regime.family for one in data]
    parts = [one.picks if target is ConfidenceTarget.PICK else one.candidates for one in data]
    weights = [
        np.full(len(part.right), 3000 / len(set(families)) / families.count(family) / len(part.right))
        for part, family in zip(parts, families, strict=True)
    ]
    kept = np.concatenate([part.folds for part in parts]) != without_fold
    return LogisticModel.fit(
        np.concatenate([part.features for part in parts])[kept],
        np.concatenate([part.right for part in parts])[kept],
        np.concatenate(weights)[kept],
    )

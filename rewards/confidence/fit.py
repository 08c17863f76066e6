"""Fit confidence models on labelled problems."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.features import (
    FEATURES,
    features_by,
    mean_over_winners,
    split_half_agreement,
)
from testbudget.rewards.confidence.model import (
    ConfidenceModels,
    ConfidenceTarget,
    LogisticModel,
    RuleFamily,
    rule_family,
)
from testbudget.rewards.confidence.pick import PICK_FEATURES, features_of_each, pick_features_by
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.seeds import CONFIDENCE_FOLDS
from testbudget.rewards.selection.base import SelectionRule

_FITTED_COUNTS = (0, 1, 2, 3, 5, 8, 12, 20, 40, 80)  # numbers of tests that give rows, besides all tests
_MAX_CANDIDATES = 15  # drawn from each problem; more of the same problem add little
_MIN_CHANGE = 0.05  # smallest change of the expected accuracy that counts as one


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """Training data of one problem for one target and rule family, a row for each pick or candidate.

    Attributes:
        target: see :class:`ConfidenceTarget`.
        family: see :class:`RuleFamily`.
        fold: fold of the problem.
        tests: intp (rows,), number of tests behind each row.
        features: float64 (rows, features), NaN where unknown.
        outcomes: float64 (rows,) in [0, 1].
        weight: weight of each row.
    """

    target: ConfidenceTarget
    family: RuleFamily
    fold: int
    tests: NDArray[np.intp]
    features: NDArray[np.float64]
    outcomes: NDArray[np.float64]
    weight: float


def training_rows(
    evidence: Evidence,
    correct: NDArray[np.bool_],
    rules: Sequence[SelectionRule],
    fold: int,
    pass_rate: float,
    rng: np.random.Generator,
    *,
    with_changes: bool = True,
) -> Iterator[TrainingRows]:
    """Training rows of a labelled problem, without its outputs and, if recorded, with them.

    Args:
        evidence: the tests in a random order, every pair run.
        correct: bool (candidates,), the labels.
        rules: selection rules that make the picks.
        fold: fold of the problem.
        pass_rate: predicted pass rate; NaN if there is none.
        rng: draws the candidates.
        with_changes: True to give rows for ``RISES`` and ``FALLS`` too, which take longest.
    """
    counts = [count for count in _FITTED_COUNTS if count < evidence.votes.tests] + [evidence.votes.tests]
    tests = np.asarray(counts, np.intp)
    drawn = rng.permutation(len(correct))[:_MAX_CANDIDATES]
    views = [replace(evidence, outputs=None)] + ([evidence] if evidence.outputs is not None else [])
    for view in views:
        statistics = PrefixStatistics(view, counts)
        of_all = features_by(statistics, pass_rate)
        for rule in rules:
            family = rule_family(rule, view)
            won = rule.winners_after(view, counts)
            accuracy = np.clip((won & correct).sum(axis=1) / won.sum(axis=1), 0.0, 1.0)
            of_pick = pick_features_by(statistics, won, pass_rate)
            yield TrainingRows(ConfidenceTarget.PICK, family, fold, tests, of_pick, accuracy, 1.0)
            if with_changes:
                of_picks = mean_over_winners(of_all, won)
                parts = [view.first(count) for count in counts[:-1]]
                agreements = [
                    split_half_agreement(part, rule, np.flatnonzero(row))
                    for part, row in zip(parts, won, strict=False)
                ]
                features = np.concatenate([of_picks[:-1], np.reshape(agreements, (-1, 2))], axis=1)
                change = accuracy[-1] - accuracy[:-1]
                for target, event in (
                    (ConfidenceTarget.RISES, change > _MIN_CHANGE),
                    (ConfidenceTarget.FALLS, change < -_MIN_CHANGE),
                ):
                    yield TrainingRows(target, family, fold, tests[:-1], features, event * 1.0, 1.0)
        family = RuleFamily.VOTES if view.outputs is None else RuleFamily.OUTPUTS_USED
        of_each = features_of_each(statistics, pass_rate)
        features = of_each[:, drawn].reshape(-1, of_each.shape[-1])
        outcomes = np.tile(correct[drawn].astype(np.float64), len(counts))
        each = np.repeat(tests, len(drawn))
        yield TrainingRows(
            ConfidenceTarget.CANDIDATE, family, fold, each, features, outcomes, 1 / len(drawn)
        )


def fit_confidence_models(rows: Iterable[TrainingRows], source: str) -> ConfidenceModels:
    """Models for each target, family and fold, fitted on the rows of the other folds.

    If all rows of a target and family belong to one fold, its model is fitted on these rows.

    Args:
        rows: training rows of many problems.
        source: description of the runs that they come from.
    """
    by_model: dict[tuple[ConfidenceTarget, RuleFamily], list[TrainingRows]] = {}
    for row in rows:
        by_model.setdefault((row.target, row.family), []).append(row)
    models = {}
    for (target, family), of_model in by_model.items():
        of_changes = target in (ConfidenceTarget.RISES, ConfidenceTarget.FALLS)
        names = FEATURES if of_changes else PICK_FEATURES
        models[target, family] = _fit_folds(of_model, names.index("predicted pass rate"))
    return ConfidenceModels(source, models)


def _fit_folds(rows: Sequence[TrainingRows], pass_rate: int) -> tuple[LogisticModel, ...]:
    features = np.concatenate([row.features for row in rows])
    outcomes = np.concatenate([row.outcomes for row in rows])
    folds = np.concatenate([np.full(len(row.outcomes), row.fold) for row in rows])
    weights = np.concatenate([np.full(len(row.outcomes), row.weight) for row in rows])
    # Often no pass rate is predicted. So every row has half its weight with the rate and half without it.
    without_rate = np.where(np.arange(features.shape[1]) == pass_rate, np.nan, features)
    models = []
    for fold in range(CONFIDENCE_FOLDS):
        others = folds != fold if (folds != fold).any() else np.ones(len(folds), np.bool_)
        models.append(
            LogisticModel.fit(
                np.concatenate([features[others], without_rate[others]]),
                np.tile(outcomes[others], 2),
                np.tile(weights[others], 2) / 2,
            )
        )
    return tuple(models)

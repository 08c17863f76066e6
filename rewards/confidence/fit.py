"""Learning from labelled problems what signs are worth."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.features import (
    FEATURES,
    candidate_features,
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
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.seeds import CONFIDENCE_FOLDS
from testbudget.rewards.selection.base import SelectionRule

FITTED_COUNTS = (0, 1, 2, 3, 5, 8, 12, 20, 40, 80)
"""Numbers of tests after which a problem is looked at; the last time after all of them."""

_PREDICTED = FEATURES.index("predicted pass rate")
_CANDIDATES = 15  # of each problem, drawn: more of one problem teach little
_CHANGE = 0.05  # of the expected accuracy; less than this counts as no change


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRow:
    """What one problem teaches about one question.

    Attributes:
        question, family: see :class:`ConfidenceModels`.
        fold: of the problem.
        tests: behind each row, shape (rows,).
        features: shape (rows, features).
        outcomes: in [0, 1], shape (rows,).
        count: how much each row counts.
    """

    question: ConfidenceTarget
    family: RuleFamily
    fold: int
    tests: NDArray[np.intp]
    features: NDArray[np.float64]
    outcomes: NDArray[np.float64]
    count: float


def training_rows(
    evidence: Evidence,
    correct: NDArray[np.bool_],
    rules: Sequence[SelectionRule],
    fold: int,
    pass_rate: float,
    random: np.random.Generator,
    *,
    looks_ahead: bool = True,
) -> Iterator[TrainingRow]:
    """What a labelled problem teaches, with its outputs and, as if nobody had recorded them, without.

    Args:
        evidence: the tests in a random order, every pair run.
        correct: shape (candidates,), the ground truth.
        rules: pick.
        fold: of the problem.
        pass_rate: what was predicted of it; NaN if nothing was.
        random: draws candidates.
        looks_ahead: whether to ask what more tests would do, which takes longest.
    """
    counts = [count for count in FITTED_COUNTS if count < evidence.votes.tests] + [evidence.votes.tests]
    tests = np.asarray(counts, np.intp)
    drawn = random.permutation(len(correct))[:_CANDIDATES]
    views = [replace(evidence, outputs=None)] + ([evidence] if evidence.outputs is not None else [])
    for view in views:
        of_all = candidate_features(view, counts, pass_rate)
        for rule in rules:
            family = rule_family(rule, view)
            won = rule.winners_after(view, counts)
            right = np.clip((won & correct).sum(axis=1) / won.sum(axis=1), 0.0, 1.0)
            of_picks = mean_over_winners(of_all, won)
            yield TrainingRow(ConfidenceTarget.PICK, family, fold, tests, of_picks, right, 1.0)
            if looks_ahead:
                first = [view.first(count) for count in counts[:-1]]
                halves = [
                    split_half_agreement(part, rule, np.flatnonzero(row))
                    for part, row in zip(first, won, strict=False)
                ]
                features = np.concatenate([of_picks[:-1], np.reshape(halves, (-1, 2))], axis=1)
                change = right[-1] - right[:-1]
                rises, falls = change > _CHANGE, change < -_CHANGE
                yield TrainingRow(
                    ConfidenceTarget.RISES, family, fold, tests[:-1], features, rises * 1.0, 1.0
                )
                yield TrainingRow(
                    ConfidenceTarget.FALLS, family, fold, tests[:-1], features, falls * 1.0, 1.0
                )
        family = RuleFamily.VOTES if view.outputs is None else RuleFamily.BOTH
        features = of_all[:, drawn].reshape(-1, of_all.shape[-1])
        outcomes = np.tile(correct[drawn].astype(np.float64), len(counts))
        each = np.repeat(tests, len(drawn))
        yield TrainingRow(
            ConfidenceTarget.CANDIDATE, family, fold, each, features, outcomes, 1 / len(drawn)
        )


def fit_confidence_models(taught: Iterable[TrainingRow], source: str) -> ConfidenceModels:
    """A model of each question and family for each fold, from the lessons of the other folds.

    Where all problems are of one fold, its model learns from these: there are no others.

    Args:
        taught: lessons of many problems.
        source: what they are from, in words.
    """
    by_model: dict[tuple[ConfidenceTarget, RuleFamily], list[TrainingRow]] = {}
    for gain_model in taught:
        by_model.setdefault((gain_model.question, gain_model.family), []).append(gain_model)
    return ConfidenceModels(source, {key: _of_folds(rows) for key, rows in by_model.items()})


def _of_folds(rows: Sequence[TrainingRow]) -> tuple[LogisticModel, ...]:
    features = np.concatenate([row.features for row in rows])
    outcomes = np.concatenate([row.outcomes for row in rows])
    folds = np.concatenate([np.full(len(row.outcomes), row.fold) for row in rows])
    counts = np.concatenate([np.full(len(row.outcomes), row.count) for row in rows])
    # What was predicted is often not known: half of the lessons are to say what the rest is worth then.
    blind = np.where(np.arange(features.shape[1]) == _PREDICTED, np.nan, features)
    models = []
    for fold in range(CONFIDENCE_FOLDS):
        others = folds != fold if (folds != fold).any() else np.ones(len(folds), np.bool_)
        models.append(
            LogisticModel.fit(
                np.concatenate([features[others], blind[others]]),
                np.tile(outcomes[others], 2),
                np.tile(counts[others], 2) / 2,
            )
        )
    return tuple(models)

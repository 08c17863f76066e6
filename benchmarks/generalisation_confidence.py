"""Estimates without labels on one regime, against its labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from regimes import DrawnTests, Regime, draw

from testbudget.rewards.confidence.level import at_level, halves_agreement
from testbudget.rewards.confidence.model import LogisticModel
from testbudget.rewards.confidence.pick import PICK_FEATURES, features_of_each, pick_features_by
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.overtaking import overtaking_bound
from testbudget.rewards.prefix_statistics import output_groups_or_pass_sets
from testbudget.rewards.quality import TestQuality, single_test_quality
from testbudget.rewards.selection.batch import combine_batch
from testbudget.rewards.selection.calibrated import Calibrated

DELTAS = (0.05, 0.1, 0.2)
_PERFECT_DRAWS = 200
_CHANGE_AFTER = 5  # tests after which p_gain and p_harm are judged, against all tests
_MIN_CHANGE = 0.05  # of the expected accuracy, as the models of p_gain and p_harm count it
_STEPS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """A probability that was said of some events, and what came.

    Attributes:
        said: float64 (orders, problems, counts).
        right: float64, the same shape, in [0, 1].
    """

    said: NDArray[np.float64]
    right: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Guarantees:
    """Bounds on overtaking of the picks of the default rule after each count.

    Attributes:
        bounds: float64 (orders, problems, counts); NaN where all tests are used already.
        changed: float64, the same shape, probability that the pick of all tests is in another output group.
    """

    bounds: NDArray[np.float64]
    changed: NDArray[np.float64]

    def given(self, delta: float) -> tuple[float, float]:
        """Share of picks with a bound of at most delta, and share of these that change; NaN for none."""
        known = ~np.isnan(self.bounds)
        low = known & (self.bounds <= delta)
        return float(low.sum() / known.sum()), float(self.changed[low].mean()) if low.any() else np.nan


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Effect of more tests on a pick of the default rule after five tests.

    Attributes:
        gain, harm: forecasts, each said and seen.
    """

    gain: Forecast
    harm: Forecast


def p_correct(
    drawn: Sequence[DrawnTests], counts: Sequence[int], models: Mapping[str, LogisticModel]
) -> dict[str, NDArray[np.float64]]:
    """p_correct of the default rule's picks, float64 (problems, counts), by model."""
    rule, batch = Calibrated(), combine_batch([one.part for one in drawn])
    features = np.zeros((len(drawn), len(counts), len(PICK_FEATURES)))
    for position, one in enumerate(drawn):
        statistics = one.statistics.with_batch(batch)
        features[position] = pick_features_by(statistics, rule.winners_by(statistics))
    said = {name: model.probability(features) for name, model in models.items()}
    for number in range(len(counts)):
        tests = np.array([one.votes_of[number] for one in drawn])
        seen = [
            one.recorded.evidence(one.permutation).first(m) for one, m in zip(drawn, tests, strict=True)
        ]
        agreement = halves_agreement(seen)
        for of_model in said.values():
            of_model[:, number] = at_level(of_model[:, number], tests, agreement)
    return said


def test_quality(
    drawn: Sequence[DrawnTests], models: Mapping[str, LogisticModel]
) -> tuple[TestQuality, dict[str, TestQuality]]:
    """Quality of single tests up to the last count: by the labels, and as estimated by each model."""
    batch = combine_batch([one.part for one in drawn])
    true, estimated = TestQuality(0, 0, 0, 0), dict.fromkeys(models, TestQuality(0, 0, 0, 0))
    for one in drawn:
        column = one.recorded.merged.column
        votes = replace(one.evidence.of_candidates(column), sizes=None).votes
        true += single_test_quality(votes, one.recorded.correct)
        features = features_of_each(one.statistics.with_batch(batch))[-1]
        for name, model in models.items():
            estimated[name] += single_test_quality(votes, model.probability(features)[column])
    return true, estimated


test_quality.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name


def judge_later(
    regime: Regime, orders: int, counts: Sequence[int], seed: int
) -> tuple[Guarantees, Changes | None]:
    """Picks after some tests against those after all tests of their problems."""
    rule, most = Calibrated(), int(regime.tests.max())
    bounds = np.full((orders, len(regime.recorded), len(counts)), np.nan)
    changed = np.zeros(bounds.shape)
    effects: list[tuple[float, float, float]] = []
    for order in range(orders):
        drawn = draw(regime, order, (*counts, most), seed)
        batch = combine_batch([one.part for one in drawn])
        for position, one in enumerate(drawn):
            statistics = one.statistics.with_batch(batch)
            won, whole = one.winners(rule, statistics), one.whole_evidence
            last = won[-1] / won[-1].sum()
            accuracy = (won & one.recorded.correct).sum(axis=1) / won.sum(axis=1)
            for number, tests in enumerate(one.votes_of[:-1].tolist()):
                if tests == one.votes_of[-1]:
                    continue
                seen, pick = whole.first(tests), int(won[number].argmax())
                groups = output_groups_or_pass_sets(seen)
                bounds[order, position, number] = overtaking_bound(seen, pick)
                changed[order, position, number] = last[groups != groups[pick]].sum()
                if order == 0 and counts[number] == _CHANGE_AFTER:
                    effect = TestEffect.of(replace(seen, batch=batch), rule, fold=one.recorded.fold)
                    effects.append((effect.p_gain, effect.p_harm, accuracy[-1] - accuracy[number]))
    if not effects:
        return Guarantees(bounds, changed), None
    gain, harm, change = (column[np.newaxis, :, np.newaxis] for column in np.array(effects).T)
    return (
        Guarantees(bounds, changed),
        Changes(
            Forecast(gain, (change > _MIN_CHANGE) * 1.0), Forecast(harm, (change < -_MIN_CHANGE) * 1.0)
        ),
    )


def calibration_error(said: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = np.minimum((said.ravel() * 10).astype(int), 9)
    return float(np.abs(np.bincount(bins, (said - right).ravel())).sum() / said.size)


def at_true_level(said: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The forecast with the log-odds of each order and count moved to the share that is right.

    What is left of its error is not that of the level of a batch.
    """
    log_odds = np.log(np.clip(said, 1e-6, 1 - 1e-6) / (1 - np.clip(said, 1e-6, 1 - 1e-6)))
    level = np.clip(right.mean(axis=1, keepdims=True), 0.01, 0.99)
    shift = np.zeros(level.shape)
    for _ in range(_STEPS):
        now = 1 / (1 + np.exp(-(log_odds + shift)))
        slope = np.maximum((now * (1 - now)).mean(axis=1, keepdims=True), 1e-3)
        shift += np.clip((level - now.mean(axis=1, keepdims=True)) / slope, -1, 1)
    return np.asarray(1 / (1 + np.exp(-(log_odds + shift))))


def perfect_error(said: NDArray[np.float64]) -> float:
    """Expected calibration error of a perfect forecast of as many problems.

    Outcomes are drawn from the probabilities themselves, once for each problem: its picks after different
    numbers of tests and in different orders are right together.

    Args:
        said: float64 (orders, problems, counts).
    """
    rng = np.random.default_rng(0)
    draws = rng.random((_PERFECT_DRAWS, 1, said.shape[1], 1))
    return float(np.mean([calibration_error(said, (one < said).astype(float)) for one in draws]))


def auroc(said: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Probability that a right event has a larger probability than a wrong one, ties counting half."""
    _, place = np.unique(said.ravel(), return_inverse=True)
    positive = np.bincount(place, right.ravel())
    negative = np.bincount(place, 1 - right.ravel())
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    return float(positive @ (below + negative / 2) / pairs) if pairs else float("nan")

"""Logistic regression in plain NumPy: small enough to ship as numbers and to fit in passing."""

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.features import candidate_features, mean_over_winners
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.seeds import CONFIDENCE_FOLDS
from testbudget.rewards.selection.base import SelectionRule

_STEPS = 50
_ENOUGH = 1e-9  # mean squared step at which Newton's method is done
_FARTHEST = 30.0  # log-odds beyond which the exponential says nothing more
_PENALTY = 5.0  # half of it times the squares of the standardised weights is taken off the log-likelihood


@dataclass(frozen=True, slots=True, eq=False)
class LogisticModel:
    """Log-odds as a weighted sum of features; a feature that is NaN is unknown and counts as usual.

    Attributes:
        intercept: log-odds where all features are as usual.
        usual: float64 (features,), the mean of each feature.
        weights: float64 (features,), of what a feature exceeds its mean by.
    """

    intercept: float
    usual: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def fit(
        cls, features: NDArray[np.float64], outcomes: NDArray[np.float64], counts: NDArray[np.float64]
    ) -> Self:
        """Maximises the likelihood less a ridge penalty on standardised weights, by Newton's method.

        Args:
            features: shape (rows, features), NaN where unknown.
            outcomes: in [0, 1], shape (rows,); a share counts as so much of either outcome.
            counts: how much each row counts, shape (rows,), positive.
        """
        known = ~np.isnan(features)
        shares = known * counts[:, np.newaxis]
        total = np.maximum(shares.sum(axis=0), 1e-9)
        filled = np.where(known, features, 0.0)
        usual = (filled * shares).sum(axis=0) / total
        spread = np.sqrt(((filled - usual) ** 2 * shares).sum(axis=0) / total)
        spread[spread < 1e-9] = np.inf  # a constant says nothing
        design = np.ones((len(features), features.shape[1] + 1))
        design[:, 1:] = np.where(known, (filled - usual) / spread, 0.0)
        penalty = np.full(design.shape[1], _PENALTY)
        penalty[0] = 1e-3  # keeps it finite where there is one outcome only
        weights = np.zeros(design.shape[1])
        for _ in range(_STEPS):
            chances = _logistic(design @ weights)
            slope = design.T @ (counts * (outcomes - chances)) - penalty * weights
            bend = (design.T * (counts * chances * (1 - chances))) @ design + np.diag(penalty)
            step = np.linalg.solve(bend, slope)
            weights += step
            if np.mean(step**2) < _ENOUGH:
                break
        return cls(float(weights[0]), usual, weights[1:] / spread)

    def contributions(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each feature adds to the log-odds, shape (..., features)."""
        return np.where(np.isnan(features), 0.0, (features - self.usual) * self.weights)

    def probability(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Chance of the outcome, for features of shape (..., features)."""
        return _logistic(self.contributions(features).sum(axis=-1) + self.intercept)


def _logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -_FARTHEST, _FARTHEST))))


# ~ """Probabilities from signs, by models that have not seen the problem they are asked about."""


class ConfidenceTarget(StrEnum):
    """What is asked. ``RISES`` and ``FALLS``: whether far more tests than now change the accuracy."""

    PICK = "is the pick right?"
    CANDIDATE = "is this candidate right?"
    RISES = "would far more tests raise the accuracy of the pick?"
    FALLS = "would far more tests lower the accuracy of the pick?"


class RuleFamily(StrEnum):
    """Who is asked: what is known differs, and so does what is picked by it.

    ``VOTES``: nothing but verdicts is known. ``BEHAVIOUR``: outputs are known too, and the rule goes by
    verdicts alone. ``BOTH``: the rule goes by the outputs too.
    """

    VOTES = "votes"
    BEHAVIOUR = "behaviour"
    BOTH = "both"


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceModels:
    """What was learned from labelled runs.

    Attributes:
        source: what it was learned from, in words.
        models: one for each fold of problems, which has not learned from that fold.
    """

    source: str
    models: Mapping[tuple[ConfidenceTarget, RuleFamily], tuple[LogisticModel, ...]]

    def model(self, question: ConfidenceTarget, family: RuleFamily, fold: int) -> LogisticModel:
        """The model that has not learned from a fold of problems."""
        return self.models[question, family][fold]

    def readable(self, evidence: Evidence) -> Evidence:
        """The evidence without outputs, if what these say was not learned."""
        if (ConfidenceTarget.CANDIDATE, RuleFamily.BOTH) in self.models:
            return evidence
        return replace(evidence, outputs=None)

    def as_text(self) -> str:
        """The models as words and numbers, in lines of readable length."""
        paragraphs = []
        for (question, family), folds in self.models.items():
            numbers = [
                f"{number:.4g}"
                for model in folds
                for number in (model.intercept, *model.usual, *model.weights)
            ]
            words = f"{question.name} {family.name} {' '.join(numbers)}"
            paragraphs.append(textwrap.fill(words, 100))
        return "\n".join(paragraphs)

    @classmethod
    def of_text(cls, source: str, text: str) -> Self:
        """The inverse of :meth:`as_text`, but for what rounding takes away.

        Raises:
            ValueError: the text is not what ``as_text`` writes.
        """
        models = {}
        for question, family, numbers in re.findall(r"([A-Z]+)\s+([A-Z]+)((?:\s+[-+.0-9e]+)+)", text):
            rows = np.array(numbers.split(), np.float64).reshape(CONFIDENCE_FOLDS, -1)
            features = rows.shape[1] // 2
            models[ConfidenceTarget[question], RuleFamily[family]] = tuple(
                LogisticModel(float(row[0]), row[1 : features + 1], row[features + 1 :]) for row in rows
            )
        return cls(source, models)


def rule_family(rule: SelectionRule, evidence: Evidence) -> RuleFamily:
    """Whom to ask about the picks of a rule."""
    if evidence.outputs is None:
        return RuleFamily.VOTES
    return RuleFamily.BOTH if rule.uses_outputs else RuleFamily.BEHAVIOUR


# ~ """Probabilities without ground truth: that a pick is right, and that each candidate is."""


def p_correct_of_pick(
    evidence: Evidence,
    rule: SelectionRule,
    winners: NDArray[np.intp],
    confidence_models: ConfidenceModels,
    fold: int,
    pass_rate: float = math.nan,
) -> float:
    """Chance that a pick drawn evenly from the tied winners is right.

    Args:
        evidence: of one problem.
        rule, winners: who is picked, and by what.
        calibration: what signs are worth.
        fold: of the problem.
        pass_rate: what was predicted of the problem; NaN if nothing was.
    """
    evidence = confidence_models.readable(evidence)
    won = np.zeros((1, evidence.votes.candidates), np.bool_)
    won[0, winners] = True
    of_pick = mean_over_winners(candidate_features(evidence, [evidence.votes.tests], pass_rate), won)
    model = confidence_models.model(ConfidenceTarget.PICK, rule_family(rule, evidence), fold)
    return float(model.probability(of_pick)[0])


def p_correct_of_candidates(
    evidence: Evidence, confidence_models: ConfidenceModels, fold: int, pass_rate: float = math.nan
) -> NDArray[np.float64]:
    """Chance that each candidate is right, shape (candidates,); see :func:`p_correct_of_pick`."""
    evidence = confidence_models.readable(evidence)
    family = RuleFamily.VOTES if evidence.outputs is None else RuleFamily.BOTH
    of_all = candidate_features(evidence, [evidence.votes.tests], pass_rate)[0]
    return confidence_models.model(ConfidenceTarget.CANDIDATE, family, fold).probability(of_all)

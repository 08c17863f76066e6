"""Calibrated logistic models: p_correct of picks and of candidates, without ground truth.

The model for a problem is one that was fitted without the problem's fold. ``default.json`` holds the models
for runs that name no runs to fit from:

- Of picks, and of single candidates, one model each for all families of rules. They were fitted on picks of
  the rule `calibrated`, and on candidates, after 1 to 20 tests on three families of writers (CodeGen-16B's
  samples of HumanEval, four mixtures of its assertions, with 100 and 16 candidates, with and without
  outputs; programs and assertions of stronger models on HumanEval; the same on MBPP) and on the two
  recordings in ``examples``, each family with the same weight.
  ``benchmarks/generalisation.py --print-models`` fits them anew.
- Of p_gain and p_harm, models that ``benchmarks/confidence.py --print-models`` fits to the recorded run in
  ``examples/humaneval`` and to subsets of its tests, good and bad, with the picks of several rules.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.pick import features_of_each, pick_features_by
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.seeds import CONFIDENCE_FOLDS
from testbudget.rewards.selection.base import SelectionRule

_VERSION = 3  # of the models as JSON
_MAX_STEPS = 50
_CONVERGED = 1e-9  # mean squared step at which Newton's method ends
_MAX_LOG_ODDS = 30.0  # beyond this the probability no longer changes
_PENALTY = 5.0  # penalty / 2 * sum(w^2) over standardised weights, taken off the log-likelihood
_INTERCEPT_PENALTY = 1e-3  # keeps the intercept finite where all outcomes are equal


@dataclass(frozen=True, slots=True, eq=False)
class LogisticModel:
    """Logistic regression: ``log-odds = intercept + sum_j weights_j (x_j - means_j)``.

    An unknown feature (NaN) adds 0, as if it had its mean.

    Attributes:
        intercept: log-odds where every feature has its mean.
        means: float64 (features,), weighted means of the known values.
        weights: float64 (features,), log-odds per unit of each feature.
    """

    intercept: float
    means: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of_row(cls, row: Sequence[float]) -> Self:
        """The model of a row of intercept, means and weights.

        Raises:
            ValueError: the row is none of finite numbers, an intercept and as many means as weights.
        """
        numbers = np.array(row, np.float64)
        if numbers.ndim != 1 or len(numbers) % 2 == 0 or not np.isfinite(numbers).all():
            raise ValueError("a model must have a finite intercept, and as many finite means as weights")
        features = len(numbers) // 2
        return cls(float(numbers[0]), numbers[1 : features + 1], numbers[features + 1 :])

    def as_row(self, digits: int) -> list[float]:
        """Intercept, means and weights, to so many digits."""
        return [float(f"{number:.{digits}g}") for number in (self.intercept, *self.means, *self.weights)]

    @classmethod
    def fit(
        cls, features: NDArray[np.float64], outcomes: NDArray[np.float64], row_weights: NDArray[np.float64]
    ) -> Self:
        """Maximise the log-likelihood less a ridge penalty on standardised weights, by Newton's method.

        Args:
            features: float64 (rows, features), NaN where unknown.
            outcomes: float64 (rows,) in [0, 1]; a share y counts as y of outcome 1 and 1 - y of outcome 0.
            row_weights: float64 (rows,), positive.
        """
        known = ~np.isnan(features)
        shares = known * row_weights[:, np.newaxis]
        total = np.maximum(shares.sum(axis=0), 1e-9)
        filled = np.where(known, features, 0.0)
        means = (filled * shares).sum(axis=0) / total
        spread = np.sqrt(((filled - means) ** 2 * shares).sum(axis=0) / total)
        spread[spread < 1e-9] = np.inf  # a constant feature gets weight 0
        design = np.ones((len(features), features.shape[1] + 1))
        design[:, 1:] = np.where(known, (filled - means) / spread, 0.0)
        penalty = np.full(design.shape[1], _PENALTY)
        penalty[0] = _INTERCEPT_PENALTY
        weights = np.zeros(design.shape[1])
        for _ in range(_MAX_STEPS):
            fitted = _logistic(design @ weights)
            gradient = design.T @ (row_weights * (outcomes - fitted)) - penalty * weights
            hessian = (design.T * (row_weights * fitted * (1 - fitted))) @ design + np.diag(penalty)
            step = np.linalg.solve(hessian, gradient)
            weights += step
            if np.mean(step**2) < _CONVERGED:
                break
        return cls(float(weights[0]), means, weights[1:] / spread)

    def contributions(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Summand of each feature in the log-odds, float64 (..., features); 0 for NaN."""
        return np.where(np.isnan(features), 0.0, (features - self.means) * self.weights)

    def probability(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of the outcome, float64 (...), for features of shape (..., features)."""
        return _logistic(self.contributions(features).sum(axis=-1) + self.intercept)


def _logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -_MAX_LOG_ODDS, _MAX_LOG_ODDS))))


class ConfidenceTarget(StrEnum):
    """The event whose probability a model gives.

    ``PICK``: the pick is correct. ``CANDIDATE``: one candidate is correct. ``RISES``, ``FALLS``: far more
    tests than now would raise, or lower, the expected accuracy of the pick by more than 0.05.
    """

    PICK = "pick"
    CANDIDATE = "candidate"
    RISES = "rises"
    FALLS = "falls"


class RuleFamily(StrEnum):
    """Kind of evidence that is known, and kind that the selection rule uses.

    ``VOTES``: only verdicts are known. ``OUTPUTS_RECORDED``: outputs are known, but the rule uses verdicts
    alone. ``OUTPUTS_USED``: the rule uses outputs too.
    """

    VOTES = "votes"
    OUTPUTS_RECORDED = "outputs_recorded"
    OUTPUTS_USED = "outputs_used"


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceModels:
    """Logistic models of all targets and rule families.

    Attributes:
        source: description of the runs that they were fitted on.
        models: for each target and family a model per fold of problems, fitted without that fold.
    """

    source: str
    models: Mapping[tuple[ConfidenceTarget, RuleFamily], tuple[LogisticModel, ...]]

    def model(self, target: ConfidenceTarget, family: RuleFamily, fold: int) -> LogisticModel:
        """The model that was fitted without a fold of problems."""
        return self.models[target, family][fold]

    def readable(self, evidence: Evidence) -> Evidence:
        """The evidence, without its outputs if no model for outputs was fitted."""
        if (ConfidenceTarget.CANDIDATE, RuleFamily.OUTPUTS_USED) in self.models:
            return evidence
        return replace(evidence, outputs=None)

    def as_json(self, **facts: str | int) -> str:
        """The models as JSON with a line per fold: intercept, means and weights, to four digits.

        Args:
            **facts: further fields, which are not read back.
        """
        blocks = []
        for (target, family), folds in self.models.items():
            lines = ",\n".join(f"   {json.dumps(model.as_row(4))}" for model in folds)
            blocks.append(f'  "{target}/{family}": [\n{lines}\n  ]')
        models = ",\n".join(blocks)
        fields = {"version": _VERSION, **facts, "source": self.source}
        head = "".join(f' "{name}": {json.dumps(value)},\n' for name, value in fields.items())
        return f'{{\n{head} "models": {{\n{models}\n }}\n}}\n'

    @classmethod
    def of_json(cls, text: str) -> Self:
        """The models from the text of ``as_json``.

        Raises:
            ValueError: the text is not what ``as_json`` writes.
        """
        try:
            content = json.loads(text)
            if content["version"] != _VERSION:
                raise ValueError(f"the version must be {_VERSION}")
            models = {
                _key(name): tuple(map(LogisticModel.of_row, rows))
                for name, rows in content["models"].items()
            }
            if any(len(folds) != CONFIDENCE_FOLDS for folds in models.values()):
                raise ValueError(f"there must be models for {CONFIDENCE_FOLDS} folds")
            return cls(str(content["source"]), models)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("the text must be JSON with a source and models") from error


def _key(name: str) -> tuple[ConfidenceTarget, RuleFamily]:
    target, family = name.split("/")
    return ConfidenceTarget(target), RuleFamily(family)


@cache
def default_models() -> ConfidenceModels:
    """The models for runs that name no runs to fit from; read from ``default.json``, once."""
    return ConfidenceModels.of_json(Path(__file__).with_name("default.json").read_text(encoding="utf-8"))


def rule_family(rule: SelectionRule, evidence: Evidence) -> RuleFamily:
    """Family of the models for the picks of a rule, by what the evidence holds."""
    if evidence.outputs is None:
        return RuleFamily.VOTES
    return RuleFamily.OUTPUTS_USED if rule.uses_outputs else RuleFamily.OUTPUTS_RECORDED


def p_correct_by(
    statistics: PrefixStatistics,
    rule: SelectionRule,
    won: NDArray[np.bool_],
    confidence_models: ConfidenceModels,
    fold: int,
    pass_rate: float = math.nan,
) -> NDArray[np.float64]:
    """Probability that a pick drawn evenly from the tied winners is correct, float64 (counts,).

    Args:
        statistics: statistics of one problem.
        rule: the selection rule.
        won: its winners, bool (counts, candidates).
        confidence_models: give the probability.
        fold: fold of the problem, see ``problem_fold``.
        pass_rate: predicted pass rate of the problem; NaN if there is none.
    """
    evidence = confidence_models.readable(statistics.evidence)
    if evidence is not statistics.evidence:
        evidence = replace(evidence, batch=statistics.batch)
        statistics = PrefixStatistics(evidence, statistics.counts)
    model = confidence_models.model(ConfidenceTarget.PICK, rule_family(rule, evidence), fold)
    return model.probability(pick_features_by(statistics, won, pass_rate))


def p_correct_of_pick(
    evidence: Evidence,
    rule: SelectionRule,
    winners: NDArray[np.intp],
    confidence_models: ConfidenceModels,
    fold: int,
    pass_rate: float = math.nan,
) -> float:
    """Probability that a pick is correct after all tests.

    Args:
        evidence: evidence on one problem.
        rule: the selection rule.
        winners: positions of its winners, intp.
        confidence_models: give the probability.
        fold: fold of the problem, see ``problem_fold``.
        pass_rate: predicted pass rate of the problem; NaN if there is none.
    """
    won = np.zeros((1, evidence.votes.candidates), np.bool_)
    won[0, winners] = True
    statistics = PrefixStatistics(evidence, [evidence.votes.tests])
    return float(p_correct_by(statistics, rule, won, confidence_models, fold, pass_rate)[0])


def p_correct_of_candidates(
    evidence: Evidence, confidence_models: ConfidenceModels, fold: int, pass_rate: float = math.nan
) -> NDArray[np.float64]:
    """Probability that each candidate is correct, float64 (candidates,).

    Args:
        evidence: evidence on one problem.
        confidence_models: give the probabilities.
        fold: fold of the problem, see ``problem_fold``.
        pass_rate: predicted pass rate of the problem; NaN if there is none.
    """
    evidence = confidence_models.readable(evidence)
    family = RuleFamily.VOTES if evidence.outputs is None else RuleFamily.OUTPUTS_USED
    statistics = PrefixStatistics(evidence, [evidence.votes.tests])
    of_all = features_of_each(statistics, pass_rate)[0]
    return confidence_models.model(ConfidenceTarget.CANDIDATE, family, fold).probability(of_all)

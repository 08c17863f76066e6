"""Whether more tests still help a problem, judged without ground truth.

Accuracy can fall as tests grow: many tests that are wrong alike outvote the right candidates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.default import DEFAULT_MODELS
from testbudget.rewards.confidence.features import (
    candidate_features,
    mean_over_winners,
    split_half_agreement,
)
from testbudget.rewards.confidence.model import ConfidenceModels, ConfidenceTarget, rule_family
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.base import SelectionRule

MIN_P_HARM = 0.1
"""Chance of harm from which on it is worth a word; where both chances are less the pick is settled."""

# What each feature says, in the order of the signs and then of the agreements of halves.
_IN_WORDS: tuple[Callable[[float], str], ...] = (
    lambda x: f"{math.exp(x) - 0.02:.0%} of the candidates agree with the pick, input by input",
    lambda x: f"{math.exp(x):.0%} of the candidates behave like the pick",
    lambda x: f"the pick passes about {x:.0%} of the tests",
    lambda x: f"the pick's lead is {math.atanh(min(x, 0.999)):.1f} times the square root of the tests",
    lambda x: f"it has had {math.expm1(x):.0f} tests",
    lambda x: f"{math.exp(x):.0%} of the candidates passed as many tests as the pick",
    lambda x: f"candidates that few agree with pass tests {x:.0%} as often as those that most agree with",
    lambda x: f"the pick leads on tests that hardly tell candidates apart ({x:.2f})",
    lambda x: f"a pass rate of {1 / (1 + math.exp(-x)):.0%} was predicted",
    lambda x: f"picks from two halves of the tests behave alike in {x:.0%} of draws",
    lambda x: f"picks from half of the tests behave like the pick in {x:.0%} of draws",
)


@dataclass(frozen=True, slots=True)
class TestEffect:
    """What far more tests would do to a problem's pick.

    Attributes:
        still_helps: chance that they raise its expected accuracy.
        harms: chance that they lower it.
        reason: the sign that speaks most for harm, in words.
    """

    p_gain: float
    p_harm: float
    reason: str

    @property
    def harmful(self) -> bool:
        """Whether more tests are likelier to harm than to help, and not unlikely to harm."""
        return self.p_harm > self.p_gain and self.p_harm >= MIN_P_HARM

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        rule: SelectionRule,
        *,
        winners: NDArray[np.intp] | None = None,
        confidence_models: ConfidenceModels = DEFAULT_MODELS,
        fold: int = 0,
        pass_rate: float = math.nan,
    ) -> Self:
        """Looks at a problem's tests so far.

        Args:
            evidence: with the batch, if the problem is one of many.
            rule: picks.
            winners: of the rule, if known.
            calibration: what signs are worth.
            fold: of the problem, see ``fold_of``.
            pass_rate: what was predicted of the problem; NaN if nothing was.
        """
        evidence = confidence_models.readable(evidence)
        if winners is None:
            winners = rule.winners(evidence)
        tests = evidence.votes.tests
        won = np.zeros((1, evidence.votes.candidates), np.bool_)
        won[0, winners] = True
        of_pick = mean_over_winners(candidate_features(evidence, [tests], pass_rate), won)[0]
        features = np.concatenate([of_pick, split_half_agreement(evidence, rule, winners)])
        family = rule_family(rule, evidence)
        rises = confidence_models.model(ConfidenceTarget.RISES, family, fold)
        falls = confidence_models.model(ConfidenceTarget.FALLS, family, fold)
        for_harm = falls.contributions(features) - rises.contributions(features)
        strongest = int(np.argmax(for_harm))
        return cls(
            float(rises.probability(features)),
            float(falls.probability(features)),
            _IN_WORDS[strongest](float(features[strongest])) if for_harm[strongest] > 0 else "",
        )

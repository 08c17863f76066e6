"""Effect of far more tests on the accuracy of a pick, estimated without ground truth.

Accuracy can fall as tests are added: many tests with the same mistake outvote the correct candidates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.features import pick_features, split_half_agreement
from testbudget.rewards.confidence.model import (
    ConfidenceModels,
    ConfidenceTarget,
    default_models,
    rule_family,
)
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.base import SelectionRule

MIN_P_HARM = 0.1
"""Smallest p_harm at which more tests count as harmful, see :attr:`TestEffect.harmful`."""

# One sentence per feature, in the order of FEATURES, then for the two split-half agreements.
_SENTENCES: tuple[Callable[[float], str], ...] = (
    lambda x: f"{math.exp(x) - 0.02:.0%} of the candidates agree with the pick, input by input",
    lambda x: f"{math.exp(x):.0%} of the candidates return the same outputs as the pick",
    lambda x: f"the pick passes about {x:.0%} of the tests",
    lambda x: f"the pick's lead is {math.atanh(min(x, 0.999)):.1f} times the square root of the tests",
    lambda x: f"it has had {math.expm1(x):.0f} tests",
    lambda x: f"{math.exp(x):.0%} of the candidates passed as many tests as the pick",
    lambda x: f"candidates that few agree with pass tests {x:.0%} as often as those that most agree with",
    lambda x: f"the pick leads on tests that hardly tell candidates apart ({x:.2f})",
    lambda x: f"a pass rate of {1 / (1 + math.exp(-x)):.0%} was predicted",
    lambda x: f"picks from two halves of the tests return the same outputs in {x:.0%} of draws",
    lambda x: f"picks from half of the tests return the same outputs as the pick in {x:.0%} of draws",
)


@dataclass(frozen=True, slots=True)
class TestEffect:
    """Effect that far more tests would have on a problem's pick.

    Attributes:
        p_gain: probability that they raise its expected accuracy by more than 0.05.
        p_harm: probability that they lower its expected accuracy by more than 0.05.
        reason: the feature that adds most to the log-odds of harm over gain, as a sentence; empty if no
            feature adds to them.
    """

    __test__ = False  # pytest would collect it by its name

    p_gain: float
    p_harm: float
    reason: str

    @property
    def harmful(self) -> bool:
        """``p_harm > p_gain and p_harm >= MIN_P_HARM``."""
        return self.p_harm > self.p_gain and self.p_harm >= MIN_P_HARM

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        rule: SelectionRule,
        *,
        winners: NDArray[np.intp] | None = None,
        confidence_models: ConfidenceModels | None = None,
        fold: int = 0,
        pass_rate: float = math.nan,
    ) -> Self:
        """The effect of more tests, estimated from the tests so far.

        Args:
            evidence: evidence on the problem; with the batch, if it is one of many.
            rule: the selection rule.
            winners: positions of its winners, intp; None to compute them.
            confidence_models: give the probabilities; None for ``default_models``.
            fold: fold of the problem, see ``problem_fold``.
            pass_rate: predicted pass rate of the problem; NaN if there is none.
        """
        confidence_models = confidence_models or default_models()
        evidence = confidence_models.readable(evidence)
        if winners is None:
            winners = rule.winners(evidence)
        of_pick = pick_features(evidence, winners, pass_rate)
        features = np.concatenate([of_pick, split_half_agreement(evidence, rule, winners)])
        family = rule_family(rule, evidence)
        rises = confidence_models.model(ConfidenceTarget.RISES, family, fold)
        falls = confidence_models.model(ConfidenceTarget.FALLS, family, fold)
        for_harm = falls.contributions(features) - rises.contributions(features)
        strongest = int(np.argmax(for_harm))
        return cls(
            float(rises.probability(features)),
            float(falls.probability(features)),
            _SENTENCES[strongest](float(features[strongest])) if for_harm[strongest] > 0 else "",
        )

"""What came out of a study: what was chosen, on the problems it was chosen by and on those held out."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies import Uniform
from scheduler.analysis.compare.comparison import STATIC_RULES
from scheduler.analysis.compare.statistics import Estimate, resampled_means
from scheduler.analysis.tune.players import Field, Player
from scheduler.analysis.tune.settings import Settings
from scheduler.analysis.tune.space import Choice
from scheduler.ledger import QUANTITIES, Cost

UNTUNED = "auto"
"""The rule that, with equal budgets, is what one has without tuning."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a choice comes to on some problems; means over problems and orders.

    Attributes:
        accuracy: of the picks.
        reference: the rule of the static reference.
        reference_accuracy: of equal budgets with the better of the static rules, at the same cost.
        lead: over the static reference.
        untuned_accuracy: of equal budgets with ``UNTUNED``, at the same cap.
        untuned_lead: of these over the static reference.
        gain: over these.
        spent: per problem.
    """

    accuracy: Estimate
    reference: str
    reference_accuracy: Estimate
    lead: Estimate
    untuned_accuracy: Estimate
    untuned_lead: Estimate
    gain: Estimate
    spent: Cost


@dataclass(frozen=True, slots=True)
class Finding:
    """A choice with its figures on both sides."""

    choice: Choice
    training: Figures
    held_out: Figures


def findings(choices: Sequence[Choice], field: Field, settings: Settings) -> list[Finding]:
    """The figures of choices, in their order, with intervals from a bootstrap over problems and orders."""
    sides = [_Side(player, settings) for player in (field.training, field.held_out)]
    return [Finding(choice, *(side.figures(choice) for side in sides)) for choice in choices]


class _Side:
    def __init__(self, player: Player, settings: Settings) -> None:
        self._player, self._settings = player, settings

    def figures(self, choice: Choice) -> Figures:
        played = self._player.play_all(choice)
        untuned = self._player.play_all(Choice(UNTUNED, Uniform.name, choice.tests_per_problem))
        spent = played.spent.mean(axis=(0, 1))
        if self._settings.pareto is None:
            rule, reference = self._reference(choice.tests_per_problem, QUANTITIES.index("tests"))
        else:
            column = QUANTITIES.index(self._settings.pareto)
            rule, reference = self._reference(float(spent[column]), column)
        values = np.stack([played.accuracy, reference, untuned.accuracy], axis=2)
        resampled = resampled_means(values, np.random.default_rng(self._settings.seed))
        means = np.concatenate([values.mean(axis=(0, 1))[np.newaxis], resampled])
        own, static, equal = means.T
        shown = (own, static, own - static, equal, equal - static, own - equal)
        accuracy, reference_accuracy, lead, untuned_accuracy, untuned_lead, gain = (
            Estimate.of(one[0], one[1:]) for one in shown
        )
        return Figures(
            accuracy,
            rule,
            reference_accuracy,
            lead,
            untuned_accuracy,
            untuned_lead,
            gain,
            Cost(*spent.tolist()),
        )

    def _reference(self, cost: float, column: int) -> tuple[str, NDArray[np.float64]]:
        """Equal budgets with the better static rule at some cost, between whole tests by straight lines.

        Dearer than all tests that every problem has, it stays at these.

        Returns:
            The rule and its accuracy, shape (orders, problems).
        """

        def spent(tests: int) -> float:
            return float(self._equal(STATIC_RULES[0], tests)[1][..., column].mean())

        most = int(self._player.ground.available.mean())
        above = min(bisect_left(range(most + 1), cost, key=spent), most)
        below = max(above - 1, 0)
        step = spent(above) - spent(below)
        share = min((cost - spent(below)) / step, 1.0) if step > 0 else 1.0
        accuracy = {
            rule: (1 - share) * self._equal(rule, below)[0] + share * self._equal(rule, above)[0]
            for rule in STATIC_RULES
        }
        rule = max(STATIC_RULES, key=lambda name: accuracy[name].mean())
        return rule, accuracy[rule]

    def _equal(self, rule: str, tests: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        outcome = self._player.play_all(Choice(rule, Uniform.name, tests))
        return outcome.accuracy, outcome.spent

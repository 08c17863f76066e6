"""Scores of choices on the training problems and on held-out problems."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.compare.settings import STATIC_RULES
from testbudget.analysis.tune.evaluate import ChoiceEvaluator, PreparedStudy
from testbudget.analysis.tune.results import UNTUNED_RULE, ChoiceScores, TunedChoice
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.space import Choice
from testbudget.policies.uniform import Uniform
from testbudget.rewards.bootstrap import bootstrap_means, intervals
from testbudget.traces.records import QUANTITIES, Cost


def score_choices(
    choices: Sequence[Choice], prepared: PreparedStudy, settings: StudySettings
) -> list[TunedChoice]:
    """Choices with their scores, whose intervals come from a bootstrap over problems and permutations.

    Args:
        choices: choices, in the order of the result.
        prepared: evaluators for training and held-out problems.
        settings: settings of the study.
    """
    return [
        TunedChoice(
            choice,
            _scores(choice, prepared.training, settings),
            _scores(choice, prepared.held_out, settings),
        )
        for choice in choices
    ]


def _scores(choice: Choice, evaluator: ChoiceEvaluator, settings: StudySettings) -> ChoiceScores:
    result = evaluator.evaluate_all(choice)
    untuned = evaluator.evaluate_all(Choice(UNTUNED_RULE, Uniform.name, choice.tests_per_problem))
    spent = result.spent.mean(axis=(0, 1))
    if settings.saves is None:
        rule, reference = _reference(evaluator, choice.tests_per_problem, QUANTITIES.index("tests"))
    else:
        column = QUANTITIES.index(settings.saves)
        rule, reference = _reference(evaluator, float(spent[column]), column)
    values = np.stack([result.accuracy, reference, untuned.accuracy], axis=2)
    own, static, equal = bootstrap_means(values, settings.seed).T
    columns = (own, static, own - static, equal, equal - static, own - equal)
    figures = intervals(np.stack(columns, axis=1))
    return ChoiceScores(
        accuracy=figures[0],
        reference=rule,
        reference_accuracy=figures[1],
        vs_reference=figures[2],
        untuned_accuracy=figures[3],
        untuned_vs_reference=figures[4],
        vs_untuned=figures[5],
        spent=Cost(*spent.tolist()),
    )


def _reference(evaluator: ChoiceEvaluator, cost: float, column: int) -> tuple[str, NDArray[np.float64]]:
    """Accuracy of equal budgets with the better static rule at a cost.

    It is interpolated linearly between whole numbers of tests. A cost above that of all recorded tests gets
    the accuracy of all recorded tests.

    Returns:
        The rule and its accuracy, float64 (permutations, problems).
    """

    def spent(tests: int) -> float:
        return float(_uniform(evaluator, STATIC_RULES[0], tests)[1][..., column].mean())

    most = int(evaluator.curves.available.mean())
    above = min(bisect_left(range(most + 1), cost, key=spent), most)
    below = max(above - 1, 0)
    step = spent(above) - spent(below)
    share = min((cost - spent(below)) / step, 1.0) if step > 0 else 1.0
    accuracy = {
        rule: (1 - share) * _uniform(evaluator, rule, below)[0]
        + share * _uniform(evaluator, rule, above)[0]
        for rule in STATIC_RULES
    }
    better = max(STATIC_RULES, key=lambda name: accuracy[name].mean())
    return better, accuracy[better]


def _uniform(
    evaluator: ChoiceEvaluator, rule: str, tests: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    result = evaluator.evaluate_all(Choice(rule, Uniform.name, tests))
    return result.accuracy, result.spent

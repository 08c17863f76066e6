"""Scores of choices, and the static reference at equal cost."""

import numpy as np
import pytest

from testbudget.analysis.tune.evaluate import prepare_study
from testbudget.analysis.tune.scores import score_choices
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.space import Choice
from testbudget.traces.tables import read_trace

RULES = ("majority", "consensus")


def accuracy(evaluator, rule, tests) -> float:
    return evaluator.evaluate_all(Choice(rule, "uniform", tests)).accuracy.mean()


@pytest.mark.parametrize("tests", [2, 2.5])
def test_the_reference_has_the_better_rule_and_is_linear_between_whole_numbers_of_tests(imported, tests):
    settings = StudySettings(tests_per_problem=tests, permutations=3)
    prepared = prepare_study(read_trace(imported), settings)
    choice = Choice("calibrated", "adaptive", tests)
    (tuned,) = score_choices([choice], prepared, settings)
    for evaluator, figures in ((prepared.training, tuned.training), (prepared.held_out, tuned.held_out)):
        share = tests - 2
        expected = {
            rule: (1 - share) * accuracy(evaluator, rule, 2) + share * accuracy(evaluator, rule, 3)
            for rule in RULES
        }
        own = evaluator.evaluate_all(choice).accuracy.mean()
        untuned = accuracy(evaluator, "calibrated", tests)
        assert figures.reference == max(RULES, key=expected.get)
        assert figures.reference_accuracy.value == pytest.approx(max(expected.values()))
        assert figures.accuracy.value == pytest.approx(own)
        assert figures.vs_reference.value == pytest.approx(own - max(expected.values()))
        assert figures.vs_untuned.value == pytest.approx(own - untuned)
        assert figures.vs_reference.low <= figures.vs_reference.value <= figures.vs_reference.high


def test_the_reference_of_a_front_spends_as_much_of_its_quantity(imported):
    settings = StudySettings(pareto="tokens", permutations=3)
    prepared = prepare_study(read_trace(imported), settings)
    expensive = Choice("majority", "uniform", 3)
    (tuned,) = score_choices([expensive], prepared, settings)
    for figures in (tuned.training, tuned.held_out):
        if figures.reference == "majority":  # the choice is the reference itself
            assert figures.vs_reference.value == pytest.approx(0)
        assert figures.vs_reference.value <= 1e-12
    tokens = prepared.training.evaluate_all(expensive).spent[..., 1].mean()
    assert tuned.training.spent.tokens == pytest.approx(tokens)
    assert np.isnan(tuned.training.spent.gpu_seconds)

"""What a choice comes to, beside the static reference."""

import numpy as np
import pytest

from testbudget.analysis.tune.evaluate import prepare_trials
from testbudget.analysis.tune.space import Choice, StudySettings
from testbudget.analysis.tune.tune import tuned_choices
from testbudget.traces.tables import read_trace

RULES = ("majority", "consensus")


def accuracy(player, rule, tests) -> float:
    return player.play_all(Choice(rule, "uniform", tests)).accuracy.mean()


@pytest.mark.parametrize("tests", [2, 2.5])
def test_the_reference_has_the_better_rule_and_lies_between_whole_tests_on_a_straight_line(imported, tests):
    settings = StudySettings(tests_per_problem=tests, orders=3)
    field = prepare_trials(read_trace(imported), settings)
    choice = Choice("auto", "adaptive", tests)
    (finding,) = tuned_choices([choice], field, settings)
    for player, figures in ((field.training, finding.training), (field.held_out, finding.held_out)):
        share = tests - 2
        expected = {
            rule: (1 - share) * accuracy(player, rule, 2) + share * accuracy(player, rule, 3)
            for rule in RULES
        }
        own = player.play_all(choice).accuracy.mean()
        untuned = accuracy(player, "auto", tests)
        assert figures.reference == max(RULES, key=expected.get)
        assert figures.reference_accuracy.value == pytest.approx(max(expected.values()))
        assert figures.accuracy.value == pytest.approx(own)
        assert figures.lead.value == pytest.approx(own - max(expected.values()))
        assert figures.gain.value == pytest.approx(own - untuned)
        assert figures.lead.low <= figures.lead.value <= figures.lead.high


def test_of_a_front_the_reference_spends_as_much_of_the_quantity(imported):
    settings = StudySettings(pareto="tokens", orders=3)
    field = prepare_trials(read_trace(imported), settings)
    dear = Choice("majority", "uniform", 3)
    (finding,) = tuned_choices([dear], field, settings)
    for figures in (finding.training, finding.held_out):
        if figures.reference == "majority":  # then it is the very same
            assert figures.lead.value == pytest.approx(0)
        assert figures.lead.value <= 1e-12
    tokens = field.training.play_all(dear).spent[..., 1].mean()
    assert finding.training.spent.tokens == pytest.approx(tokens)
    assert np.isnan(finding.training.spent.gpu_seconds)

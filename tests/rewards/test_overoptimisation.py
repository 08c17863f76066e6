import numpy as np
import pytest

from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.overoptimisation import TestEffect
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes

RULE = Majority()


def evidence_of(passed) -> Evidence:
    return Evidence(Votes.from_matrix(np.array(passed, bool)))


def test_p_gain_is_smaller_where_halves_of_the_tests_agree():
    random = np.random.default_rng(0)
    settled = np.zeros((12, 20), bool)
    settled[:, :8] = True
    open_still = random.random((12, 20)) < 0.3
    assert (
        TestEffect.of(evidence_of(settled), RULE).p_gain
        < TestEffect.of(evidence_of(open_still), RULE).p_gain
    )


@pytest.mark.parametrize("name", SELECTION_RULES)
@pytest.mark.parametrize("tests", [0, 1, 2, 7])
def test_every_rule_has_a_test_effect_after_any_number_of_tests(name, tests):
    passed = np.random.default_rng(tests).random((tests, 6)) < 0.5
    test_effect = TestEffect.of(evidence_of(passed), selection_rule(name))
    assert 0 <= test_effect.p_gain <= 1
    assert 0 <= test_effect.p_harm <= 1


def test_equal_evidence_has_equal_test_effects():
    passed = np.random.default_rng(5).random((9, 15)) < 0.4
    assert TestEffect.of(evidence_of(passed), RULE) == TestEffect.of(evidence_of(passed), RULE)


def test_an_effect_is_harmful_if_p_harm_is_large_and_above_p_gain():
    assert TestEffect(p_gain=0.1, p_harm=0.4, reason="").harmful
    assert not TestEffect(p_gain=0.5, p_harm=0.4, reason="").harmful
    assert not TestEffect(p_gain=0.001, p_harm=0.002, reason="").harmful


def test_the_fold_decides_the_model():
    passed = np.random.default_rng(5).random((9, 15)) < 0.4
    effects = {
        TestEffect.of(evidence_of(passed), RULE, fold=f, confidence_models=default_models()).p_harm
        for f in range(5)
    }
    assert len(effects) == 5

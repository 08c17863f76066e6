import numpy as np
import pytest

from rewards.confidence import SHIPPED
from rewards.evidence import Evidence
from rewards.selection import SELECTION_RULES, Majority, selection_rule
from rewards.stopping import Outlook
from rewards.votes import Votes

RULE = Majority()


def evidence_of(passed) -> Evidence:
    return Evidence(Votes.from_matrix(np.array(passed, bool)))


def test_more_tests_help_less_where_halves_of_them_already_pick_alike():
    random = np.random.default_rng(0)
    settled = np.zeros((12, 20), bool)
    settled[:, :8] = True
    open_still = random.random((12, 20)) < 0.3
    assert (
        Outlook.of(evidence_of(settled), RULE).still_helps
        < Outlook.of(evidence_of(open_still), RULE).still_helps
    )


@pytest.mark.parametrize("name", SELECTION_RULES)
@pytest.mark.parametrize("tests", [0, 1, 2, 7])
def test_every_rule_has_an_outlook_after_any_number_of_tests(name, tests):
    passed = np.random.default_rng(tests).random((tests, 6)) < 0.5
    outlook = Outlook.of(evidence_of(passed), selection_rule(name))
    assert 0 <= outlook.still_helps <= 1
    assert 0 <= outlook.harms <= 1


def test_the_same_evidence_has_the_same_outlook():
    passed = np.random.default_rng(5).random((9, 15)) < 0.4
    assert Outlook.of(evidence_of(passed), RULE) == Outlook.of(evidence_of(passed), RULE)


def test_a_problem_is_over_optimised_where_harm_is_likely_and_likelier_than_help():
    assert Outlook(still_helps=0.1, harms=0.4, reason="").overoptimised
    assert not Outlook(still_helps=0.5, harms=0.4, reason="").overoptimised
    assert not Outlook(still_helps=0.001, harms=0.002, reason="").overoptimised


def test_the_fold_decides_which_model_is_asked():
    passed = np.random.default_rng(5).random((9, 15)) < 0.4
    outlooks = {Outlook.of(evidence_of(passed), RULE, fold=f, calibration=SHIPPED).harms for f in range(5)}
    assert len(outlooks) == 5

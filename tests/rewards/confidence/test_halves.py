import numpy as np
import pytest

from testbudget.rewards.confidence.features import split_half_agreement
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.votes import Votes

RULE = Majority()


def asked(passed):
    evidence = Evidence(Votes.from_matrix(np.array(passed, bool)))
    return split_half_agreement(evidence, RULE, RULE.winners(evidence))


def test_halves_of_equal_tests_agree():
    assert asked([[1, 0, 0]] * 6) == pytest.approx((1, 1))


def test_halves_that_contradict_each_other_do_not_agree():
    # Of two tests that pass one candidate each, each half picks its own.
    each_other, with_whole = asked([[1, 0, 0], [0, 1, 0]])
    assert each_other == 0
    assert with_whole == pytest.approx(0.5)


def test_a_single_test_has_no_halves():
    assert np.isnan(asked([[1, 0, 0]])).all()


def test_ties_are_drawn_evenly():
    # Nobody passes anything: all are tied, and all behave alike.
    assert asked([[0, 0, 0]] * 4) == pytest.approx((1, 1))


def test_the_same_tests_are_always_split_alike():
    passed = np.random.default_rng(0).random((9, 8)) < 0.5
    assert asked(passed) == asked(passed)

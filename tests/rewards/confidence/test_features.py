import math

import numpy as np
import pytest

from testbudget.rewards.confidence.features import (
    FEATURES,
    candidate_features,
    mean_over_winners,
    split_half_agreement,
)
from testbudget.rewards.outputs import Evidence, OutputMatrix
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.votes import Votes

PASSED = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], bool)


def feature(values, name):
    return values[..., FEATURES.index(name)]


def test_votes_are_shares_leads_and_ranks():
    after = candidate_features(Evidence(Votes.from_matrix(PASSED)), [2, 4])
    np.testing.assert_allclose(feature(after, "share of the tests passed")[1], [5 / 6, 4 / 6, 2 / 6, 1 / 6])
    np.testing.assert_allclose(feature(after, "lead in tests passed")[1], np.tanh([0.5, -0.5, -1.5, -2]))
    np.testing.assert_allclose(feature(after, "number of tests")[:, 0], np.log([3, 5]))
    ranks = feature(after, "candidates that passed as many tests")
    np.testing.assert_allclose(np.exp(ranks), [[0.5, 0.5, 0.75, 1], [0.25, 0.5, 0.75, 1]])
    sizes = feature(after, "size of its output group")
    np.testing.assert_allclose(np.exp(sizes), [[0.5, 0.5, 0.25, 0.25], [0.25] * 4])


def test_features_without_data_are_nan():
    after = candidate_features(Evidence(Votes.from_matrix(PASSED)), [4])
    for name in (
        "agreement with all candidates",
        "minority ratio of the batch",
        "predicted pass rate",
    ):
        assert np.isnan(feature(after, name)).all()


def test_agreement_is_by_outputs():
    results = np.array([[0, 0, 0, 1], [2, 2, 3, 3]], np.int32)
    outputs = OutputMatrix(results, np.ones((2, 4), bool), np.array([0, 1, 2, 2, 2]))
    after = candidate_features(Evidence(Votes.from_matrix(PASSED), outputs), [0, 4])
    agreement = feature(after, "agreement with all candidates")
    assert np.isnan(agreement[0]).all()
    np.testing.assert_allclose(np.exp(agreement[1]) - 0.02, [0.625, 0.625, 0.625, 0.375])


@pytest.mark.parametrize(("rate", "expected"), [(0.5, 0), (0.8, math.log(4)), (0, math.log(1 / 99))])
def test_a_predicted_pass_rate_is_a_feature_of_every_candidate(rate, expected):
    after = candidate_features(Evidence(Votes.from_matrix(PASSED)), [1], rate)
    np.testing.assert_allclose(feature(after, "predicted pass rate"), [[expected] * 4])


def test_tied_winners_have_the_mean_of_their_features():
    values = np.array([[[1.0, np.nan], [3.0, np.nan], [50.0, np.nan]]])
    np.testing.assert_equal(mean_over_winners(values, np.array([[True, True, False]])), [[2.0, np.nan]])


RULE = Majority()


def agreement_of(passed):
    evidence = Evidence(Votes.from_matrix(np.array(passed, bool)))
    return split_half_agreement(evidence, RULE, RULE.winners(evidence))


def test_halves_of_equal_tests_agree():
    assert agreement_of([[1, 0, 0]] * 6) == pytest.approx((1, 1))


def test_halves_that_contradict_each_other_do_not_agree():
    # Of two tests that pass one candidate each, each half picks its own.
    between_halves, with_whole = agreement_of([[1, 0, 0], [0, 1, 0]])
    assert between_halves == 0
    assert with_whole == pytest.approx(0.5)


def test_a_single_test_has_no_halves():
    assert np.isnan(agreement_of([[1, 0, 0]])).all()


def test_ties_are_drawn_evenly():
    # No candidate passes a test: all are tied and passed the same tests.
    assert agreement_of([[0, 0, 0]] * 4) == pytest.approx((1, 1))


def test_the_same_tests_are_always_split_in_the_same_way():
    passed = np.random.default_rng(0).random((9, 8)) < 0.5
    assert agreement_of(passed) == agreement_of(passed)

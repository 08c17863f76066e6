"""Features of picks against their formulas, with outputs and with votes alone."""

import math
from dataclasses import replace

import numpy as np
import pytest

from testbudget.rewards.confidence.pick import PICK_FEATURES, features_of_each, pick_features_by
from testbudget.rewards.equivalence import merge_equal
from testbudget.rewards.outputs import Evidence, OutputMatrix
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.rewards.votes import Votes

RULE = Calibrated()


def evidence(passed, results=None):
    votes = Votes.from_matrix(np.array([[c == "x" for c in row] for row in passed]))
    if results is None:
        return Evidence(votes)
    numbers = np.array([[ord(c) for c in row] for row in results], np.int32)
    return Evidence(votes, OutputMatrix(numbers, numbers != ord("!"), np.arange(len(passed) + 1)))


def features_of_pick(known, winners, pass_rate=math.nan):
    won = np.isin(np.arange(known.votes.candidates), winners)[np.newaxis]
    return pick_features_by(PrefixStatistics(known, [known.votes.tests]), won, pass_rate)[0]


def named(features):
    return dict(zip(PICK_FEATURES, features, strict=True))


def test_features_are_those_of_their_formulas():
    known = evidence(["xx.", "xx.", "...", "..x"], ["aab"] * 4)
    known = replace(known, batch=batch_statistics([known]))
    found = named(features_of_pick(known, RULE.winners(known), 0.75))
    scores = RULE.scores(PrefixStatistics(known, [4]))[0]
    odds = np.exp(scores[[0, 2]])  # of the two output groups
    assert found["share of the posterior"] == pytest.approx(odds[0] / odds.sum())
    assert found["agreement with the pick"] == pytest.approx(2 / 3)
    assert found["share of the passable tests passed"] == pytest.approx(2 / 3)
    assert found["number of tests"] == pytest.approx(math.log(5))
    assert found["inverse size of its output group"] == pytest.approx(1 / 2)
    assert found["predicted pass rate"] == pytest.approx(math.log(3))


def test_tied_groups_share_the_posterior():
    known = evidence(["...."], ["aabb"])
    found = named(features_of_pick(known, np.arange(4)))
    assert found["share of the posterior"] == pytest.approx(0.5)
    assert math.isnan(found["predicted pass rate"])


def test_with_votes_alone_agreement_is_that_of_the_tests_passed():
    known = evidence(["xxx.", "xx..", "...."])
    found = named(features_of_pick(known, np.array([0, 1])))
    assert found["agreement with the pick"] == pytest.approx(1.2 * (3 / 4 + 2 / 4) / 2 - 0.31)
    assert named(features_of_pick(known, np.array([3])))["agreement with the pick"] == 0


def test_before_the_first_test_and_input_only_their_number_is_known():
    found = named(features_of_pick(Evidence(Votes(3)), np.arange(3)))
    assert found.pop("number of tests") == 0
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize("results", [None, ["aabc", "aabc", "aabb"]])
def test_equal_candidates_in_one_column_have_the_same_features(results):
    known = evidence(["xx..", "xx.x", "...x"], results)
    merged, column = merge_equal(known)
    won = RULE.winners_after(known, range(4))
    in_column = np.stack([won[:, column == one].sum(axis=1) for one in range(column.max() + 1)], axis=1)
    each = pick_features_by(PrefixStatistics(known, range(4)), won)
    together = pick_features_by(PrefixStatistics(merged, range(4)), in_column)
    np.testing.assert_allclose(each, together)


@pytest.mark.parametrize("results", [None, ["aabc", "aabc", "aabb"]])
def test_a_candidate_has_the_features_of_a_pick_of_it_alone(results):
    known = evidence(["xx..", "xx.x", "...x"], results)
    each = features_of_each(PrefixStatistics(known, [0, 3]), 0.6)
    for candidate in range(4):
        won = np.zeros((2, 4), np.bool_)
        won[:, candidate] = True
        np.testing.assert_allclose(
            each[:, candidate], pick_features_by(PrefixStatistics(known, [0, 3]), won, 0.6)
        )

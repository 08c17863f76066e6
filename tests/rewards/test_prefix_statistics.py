"""Statistics of merged evidence against those of one column for each candidate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards import prefix_statistics
from testbudget.rewards.confidence.features import features_by
from testbudget.rewards.equivalence import merge_equal
from testbudget.rewards.outputs import UNKNOWN, Evidence, OutputMatrix
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.batch import combine_batch, contribution_by
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes

MERGING = [rule for name in SELECTION_RULES if (rule := selection_rule(name)).merges_equal]
STATISTICS = (
    "tests_passed",
    "pass_set_sizes",
    "output_group_sizes",
    "agreement",
    "soft_group_sizes",
    "soft_tests_passed",
    "returned",
)


@st.composite
def evidence(draw) -> Evidence:
    """Few tests, many candidates, so that some are equal; one input per test."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 9)))
    results = draw(arrays(np.int32, shape, elements=st.integers(UNKNOWN, 1)))
    run = draw(arrays(np.bool_, shape))
    passed = draw(arrays(np.bool_, shape)) & run
    return Evidence(
        Votes.from_matrix(passed, run), OutputMatrix(results, results >= 0, np.arange(shape[0] + 1))
    )


def statistics_of(known: Evidence) -> PrefixStatistics:
    return PrefixStatistics(known, range(known.votes.tests + 1))


@given(evidence())
def test_equal_candidates_in_one_column_have_the_statistics_that_each_of_them_has(whole):
    merged, column = merge_equal(whole)
    each, together = statistics_of(whole), statistics_of(merged)
    assert together.candidates == each.candidates == whole.votes.candidates
    for name in STATISTICS:
        found = getattr(together, name)[:, column]
        np.testing.assert_allclose(found, getattr(each, name), rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(features_by(together)[:, column], features_by(each), rtol=1e-12)
    parts = contribution_by(together), contribution_by(each)
    np.testing.assert_allclose(parts[0].sums, parts[1].sums, rtol=1e-12)
    ours, theirs = (combine_batch([part]).calibration.at(whole.votes.tests) for part in parts)
    assert (ours.weak, ours.strong) == (theirs.weak, theirs.strong)
    assert ours.strength == pytest.approx(theirs.strength)


@pytest.mark.parametrize("rule", MERGING, ids=lambda rule: rule.name)
@given(evidence())
def test_a_rule_that_merges_picks_the_same_with_equal_candidates_in_one_column(rule, whole):
    merged, column = merge_equal(whole)
    batch = combine_batch([contribution_by(statistics_of(whole))])
    for of_batch in (None, batch):
        won = rule.winners_by(statistics_of(merged).with_batch(of_batch))[:, column]
        np.testing.assert_array_equal(won, rule.winners_by(statistics_of(whole).with_batch(of_batch)))
    last = np.isin(column, rule.winners(merged))
    np.testing.assert_array_equal(np.flatnonzero(last), rule.winners(whole))


def test_soft_groups_do_not_depend_on_how_many_pairs_are_compared_at_once(monkeypatch):
    random = np.random.default_rng(0)
    results = random.integers(0, 3, (600, 8)).astype(np.int32)
    votes = Votes.from_matrix(np.ones((3, 8), np.bool_))
    known = Evidence(votes, OutputMatrix(results, results >= 0, np.array([0, 1, 300, 600])))
    at_once = statistics_of(known).soft_group_sizes
    monkeypatch.setattr(prefix_statistics, "_PAIRS_AT_ONCE", 0)
    row_by_row = statistics_of(known).soft_group_sizes
    differ = (results[:300, :, None] != results[:300, None, :]).mean(axis=0)
    np.testing.assert_allclose(at_once, row_by_row, rtol=1e-12)
    np.testing.assert_allclose(at_once[2], np.exp(-5 * differ).sum(axis=1), rtol=1e-12)


def test_soft_tests_passed_are_the_mean_over_candidates_weighted_by_similarity():
    results = np.array([[0, 0, 1], [0, 1, 1]], np.int32)
    passed = np.array([[True, True, False], [True, False, False]])
    known = Evidence(Votes.from_matrix(passed), OutputMatrix(results, results >= 0, np.array([0, 1, 2])))
    similar = np.exp(-5 * (results[:, :, None] != results[:, None, :]).mean(axis=0))
    np.testing.assert_allclose(
        PrefixStatistics(known, [2]).soft_tests_passed[0],
        similar @ passed.sum(axis=0) / similar.sum(axis=1),
    )

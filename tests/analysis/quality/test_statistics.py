"""Statistics of the tests of a problem, against hand-made votes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from testbudget.analysis.quality.statistics import WrittenTests, problem_statistics, rank_correlation
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes

MAJORITY = selection_rule("majority")
CORRECT = np.array([True, True, False, False])


def statistics(passed, tokens, *, places=None, together=(1, 2), budgets=(), permutations=200):
    votes = Votes.from_matrix(np.array(passed, np.bool_))
    positions = np.arange(len(passed)) if places is None else np.array(places)
    written = WrittenTests(votes, positions, np.array(tokens, np.float64), CORRECT)
    rng = np.random.default_rng(0)
    return problem_statistics(written, MAJORITY, together, budgets, permutations=permutations, rng=rng)


def test_single_tests_are_counted_pair_by_pair():
    # The first test is perfect, the second passes everything, the third rejects a right candidate.
    found = statistics([[1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]], [1, 1, 1])
    assert (found.single.false_positives, found.single.wrong) == (2, 6)
    assert (found.single.false_negatives, found.single.correct) == (1, 6)


def test_tests_together_accept_the_winners_and_more_of_them_pick_better():
    found = statistics([[1, 1, 0, 0], [1, 1, 1, 1]], [1, 1])
    assert found.at_tests[1] == 1.0
    assert 0.6 < found.at_tests[0] < 0.9  # either test comes first
    assert found.combined[1].accuracy == 1.0
    assert statistics([[1, 1, 0, 0]], [1]).combined[1] is None


def test_an_unusable_test_costs_its_tokens_and_its_turn():
    perfect = [[1, 1, 0, 0]]
    # The only usable test is the second of two; the first one costs 90 tokens.
    found = statistics(perfect, [90, 10], places=[1], together=(1, 2), budgets=(10, 90, 100))
    assert found.at_tests[1] == 1.0
    assert 0.6 < found.at_tests[0] < 0.9
    assert found.at_tokens[2] == 1.0
    # Within 10 tokens, and within 90, it is there only if it comes first.
    assert found.at_tokens[0] == found.at_tokens[1] == pytest.approx(found.at_tests[0])
    assert (found.tests, found.usable, found.tokens) == (2, 1, 100)


def test_the_ranking_of_candidates_is_scored_at_its_ends_and_as_a_whole():
    found = statistics([[1, 1, 0, 0], [1, 0, 0, 0]], [1, 1])
    assert (found.top, found.bottom) == (1.0, 0.0)
    assert found.fidelity == pytest.approx(spearmanr([2, 1, 0, 0], CORRECT).statistic)
    flat = statistics([[1, 1, 1, 1]], [1])
    assert math.isnan(flat.fidelity)
    assert (flat.top, flat.bottom) == (0.5, 0.5)


def test_unmeasured_tokens_leave_the_accuracy_at_equal_tokens_unknown():
    found = statistics([[1, 1, 0, 0]], [math.nan], budgets=(10,))
    assert math.isnan(found.at_tokens[0])
    assert found.at_tests[0] == 1.0


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=2, max_size=12))
def test_the_rank_correlation_is_spearmans(pairs):
    first, second = (np.array(side, np.float64) for side in zip(*pairs, strict=True))
    found = rank_correlation(first, second)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(first, second).statistic)

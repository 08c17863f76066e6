"""Rules that use outputs, on problems small enough to compute by hand."""

import dataclasses
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.outputs import UNKNOWN, BatchStatistics, Evidence, OutputMatrix
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.batch import AGREEMENT_WEIGHTS, batch_statistics
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes

every_rule = pytest.mark.parametrize(
    "rule", [selection_rule(name) for name in SELECTION_RULES], ids=lambda r: r.name
)


def evidence(passed, results, known=None, batch=None):
    """Evidence from rows of tests ('x' passed) and inputs (letters for values, '!' raised, '-' unknown)."""
    votes = Votes(len(results[0]))
    for row in passed:
        votes.add(np.array([c == "x" for c in row]))
    letters = np.array([list(row) for row in results])
    outputs = OutputMatrix(
        np.where(letters == "-", UNKNOWN, np.array([[ord(c) for c in row] for row in results])).astype(
            np.int32
        ),
        (letters != "-") & (letters != "!"),
        np.asarray(range(len(passed) + 1) if known is None else known, np.intp),
    )
    return Evidence(votes, outputs, batch)


def batch(best_pass_rate=0.5, minority_ratio=0.0, consistency=1.0, trusted_weight=np.inf):
    """Batch statistics that are the same after every number of tests."""
    return BatchStatistics(
        *(np.full(6, value) for value in (best_pass_rate, minority_ratio, consistency, trusted_weight))
    )


def winners(name, *args, **kwargs):
    return selection_rule(name).winners(evidence(*args, **kwargs)).tolist()


def winners_by_votes(name, passed, batch):
    known = dataclasses.replace(evidence(passed, ["?" * len(passed[0])], [0] * 9, batch), outputs=None)
    return selection_rule(name).winners(known).tolist()


@st.composite
def evidence_values(draw):
    tests, candidates = draw(st.integers(0, 5)), draw(st.integers(1, 8))
    inputs = draw(st.integers(0, 6))
    known = np.sort(draw(st.lists(st.integers(0, inputs), min_size=tests + 1, max_size=tests + 1)))
    known[-1] = inputs
    results = draw(arrays(np.int32, (inputs, candidates), elements=st.integers(-1, 3)))
    passed = draw(arrays(np.bool_, (tests, candidates)))
    outputs = OutputMatrix(results, (results != UNKNOWN) & (results != 3), known.astype(np.intp))
    return Evidence(Votes.from_matrix(passed), outputs)


def test_the_largest_output_group_wins_without_regard_to_the_tests():
    assert winners("outputs", ["..x"], ["aab"]) == [0, 1]


def test_a_group_that_only_raises_loses_to_every_other():
    assert winners("outputs", ["...x"], ["!!!b"]) == [3]


def test_a_candidate_that_agrees_with_many_wins_over_a_lone_one_with_one_test_more():
    passed = ["xxxxxxxx."] * 3 + ["........x"] * 4 + ["........."] * 3
    assert winners("majority", passed, ["aaaaaaaab"] * 10) == [8]
    for name in ("agreement", "soft_agreement", "batch", "auto"):
        assert winners(name, passed, ["aaaaaaaab"] * 10) == list(range(8))


def test_good_tests_of_a_batch_outweigh_agreement_and_bad_ones_do_not():
    passed, results = ["........x", "xxxxxxxxx", "........x"], ["aaaaaaaab"] * 3
    good, bad = batch(best_pass_rate=0.99), batch(best_pass_rate=0.2)
    for name in ("batch", "auto"):
        assert winners(name, passed, results, batch=good) == [8]
        assert winners(name, passed, results, batch=bad) == list(range(8))


def test_where_tests_pass_minority_and_majority_alike_agreement_decides():
    passed, results = ["....x"] * 4, ["aaaab"] * 4
    assert winners("auto", passed, results) == [4]
    assert winners("auto", passed, results, batch=batch(minority_ratio=0.9)) == [0, 1, 2, 3]


def test_the_weight_of_agreement_is_at_most_the_trusted_weight():
    passed, results = ["........x", "xxxxxxxxx", "........x"], ["aaaaaaaab"] * 3
    assert winners("auto", passed, results, batch=batch(best_pass_rate=0.3)) == list(range(8))
    assert winners("auto", passed, results, batch=batch(best_pass_rate=0.3, trusted_weight=0.1)) == [8]


def test_without_outputs_equal_verdicts_count_for_more_where_tests_contradict_each_other():
    passed = ["xxx.", "...x", "...x"]
    assert winners_by_votes("auto", passed, batch()) == [3]
    assert winners_by_votes("auto", passed, batch(consistency=0.5)) == [0, 1, 2]


def test_soft_group_sizes_and_agreement_are_those_of_their_formulas():
    statistics = PrefixStatistics(evidence(["xxx", "xxx"], ["aab", "!bb"]), [1, 2])
    np.testing.assert_allclose(statistics.agreement, [[2 / 3, 2 / 3, 1 / 3], [1 / 3, 5 / 6, 2 / 3]])
    half, full = exp(-2.5), exp(-5)
    np.testing.assert_allclose(
        statistics.soft_group_sizes,
        [[2 + full, 2 + full, 1 + 2 * full], [1 + half + full, 1 + 2 * half, 1 + half + full]],
    )
    np.testing.assert_array_equal(statistics.output_group_sizes, [[2, 2, 1], [1, 1, 1]])


def test_agreement_scores_are_those_of_the_formula():
    statistics = PrefixStatistics(evidence(["xx.", ".xx"], ["aab", "aab"]), [2])
    weight = (1 - 3 / 4) / 2
    np.testing.assert_allclose(
        selection_rule("agreement").scores(statistics),
        [[log(1) + weight * log(2), log(2) + weight * log(2), log(1)]],
    )


def test_an_input_that_few_candidates_reach_splits_no_group():
    statistics = PrefixStatistics(evidence(["xxxx"], ["aaab", "c---"], known=[0, 2]), [1])
    np.testing.assert_array_equal(statistics.output_group_sizes, [[3, 3, 3, 1]])


def test_inputs_run_alone_count_before_the_first_test():
    for name in ("outputs", "agreement", "soft_agreement", "batch", "auto"):
        assert winners(name, [], ["aab"], known=[1]) == [0, 1]


def test_best_pass_rate_and_minority_ratio_of_a_batch_are_those_of_their_formulas():
    agreeing = evidence(["xx.", "xx."], ["aab", "aab"])
    disagreeing = evidence(["..x", "xxx"], ["aab", "aab"])
    batch = batch_statistics([agreeing, disagreeing])
    np.testing.assert_allclose(batch.best_pass_rate, [0.5, 1, 1])
    np.testing.assert_allclose(batch.minority_ratio[1:], [(0 + 1 + 0.25) / (1 + 0 + 1), 1.25 / 2.5])


def test_problems_of_a_batch_count_up_to_as_many_tests_as_they_have():
    batch = batch_statistics([evidence(["x."], ["ab"]), evidence(["..", "x.", ".."], ["ab"] * 3)])
    np.testing.assert_allclose(batch.best_pass_rate, [0.5, 0.5, 0.5, 1 / 3])


def test_consistency_is_the_share_of_passable_tests_that_the_best_candidate_passes():
    contradictory = evidence(["xx.", "..x"], ["aab", "aab"])
    agreeing = evidence(["xx.", "xx."], ["aab", "aab"])
    np.testing.assert_allclose(batch_statistics([contradictory]).consistency, [1, 1, 1 / 2])
    np.testing.assert_allclose(batch_statistics([contradictory, agreeing]).consistency, [1, 1, 3 / 4])
    nothing = evidence(["..", ".."], ["ab", "ab"])
    np.testing.assert_allclose(batch_statistics([nothing]).consistency, [1, 1, 1])


def test_the_trusted_weight_is_small_where_tests_predict_each_other_against_agreement():
    results = ["aaaaaaaab"] * 4
    right = evidence(["........x", "xxxxxxxxx", "........x", "........x"], results)
    wrong = evidence(["........x", "xxxxxxxxx", "xxxxxxxx.", "xxxxxxxx."], results)
    trusted = batch_statistics([right]).trusted_weight
    assert np.isinf(trusted[:2]).all()
    assert trusted[4] < 0.7
    assert batch_statistics([wrong]).trusted_weight[4] == AGREEMENT_WEIGHTS[-1]


@every_rule
@given(known=evidence_values())
def test_winners_after_every_count_of_tests_are_those_of_that_much_evidence(rule, known):
    known = dataclasses.replace(known, batch=batch_statistics([known]))
    for tests, won in enumerate(rule.winners_after(known, range(known.votes.tests + 1))):
        np.testing.assert_array_equal(np.flatnonzero(won), rule.winners(known.first(tests)))


@every_rule
@given(known=evidence_values(), data=st.data())
def test_the_order_of_candidates_does_not_matter(rule, known, data):
    order = np.array(data.draw(st.permutations(range(known.votes.candidates))))
    assert set(order[rule.winners(known.of_candidates(order))]) == set(rule.winners(known))


@every_rule
def test_an_eliminated_candidate_does_not_win_by_equal_outputs(rule):
    votes = Votes.from_matrix(
        np.array([[1, 1, 1, 1], [0, 0, 0, 1]], np.bool_), np.array([[1, 1, 1, 1], [0, 0, 0, 1]], np.bool_)
    )
    results = np.array([[1, 1, 1, 2], [-1, -1, -1, 2]], np.int32)
    known = Evidence(votes, OutputMatrix(results, results >= 0, np.array([0, 1, 2])))
    assert rule.winners(known).tolist() == [3]

"""Rules that use outputs, on problems small enough to compute by hand."""

import dataclasses
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.calibration_fit import BatchCalibration
from testbudget.rewards.outputs import UNKNOWN, BatchStatistics, Evidence, OutputMatrix
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.batch import batch_statistics
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


def batch(best_pass_rate=0.5, minority_ratio=0.0):
    """Batch statistics that are the same after every number of tests, of problems without tests."""
    return BatchStatistics(
        np.full(6, best_pass_rate), np.full(6, minority_ratio), BatchCalibration([], tests=5)
    )


def winners(name, *args, **kwargs):
    return selection_rule(name).winners(evidence(*args, **kwargs)).tolist()


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
    for name in ("agreement", "soft_agreement", "batch", "calibrated"):
        assert winners(name, passed, ["aaaaaaaab"] * 10) == list(range(8))


def test_good_tests_of_a_batch_outweigh_agreement_and_bad_ones_do_not():
    passed, results = ["........x", "xxxxxxxxx", "........x"], ["aaaaaaaab"] * 3
    assert winners("batch", passed, results, batch=batch(best_pass_rate=0.99)) == [8]
    assert winners("batch", passed, results, batch=batch(best_pass_rate=0.2)) == list(range(8))


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
    for name in ("outputs", "agreement", "soft_agreement", "batch", "calibrated"):
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

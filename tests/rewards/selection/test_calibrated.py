"""The default rule: scores against the formula, votes alone, and batches of good and of bad tests."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import betaln

from testbudget.rewards.calibration_fit import BatchCalibration
from testbudget.rewards.outputs import UNKNOWN, BatchStatistics, Evidence, OutputMatrix
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes

RULE = selection_rule("calibrated")


def evidence(passed, results=None):
    """Evidence from rows of tests ('x' passed), and of one input each (letters for values, '!' raised)."""
    votes = Votes.from_matrix(np.array([[c == "x" for c in row] for row in passed]))
    if results is None:
        return Evidence(votes)
    numbers = np.array([[ord(c) for c in row] for row in results], np.int32)
    return Evidence(votes, OutputMatrix(numbers, numbers != ord("!"), np.arange(len(passed) + 1)))


def picks(problems):
    """Winners of each problem, with the batch of all."""
    batch = batch_statistics(problems)
    return [RULE.winners(replace(one, batch=batch)).tolist() for one in problems]


@st.composite
def batches(draw):
    """Two problems of few tests, with or without outputs."""
    problems = []
    with_outputs = draw(st.booleans())
    for _ in range(2):
        shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 6)))
        results = draw(arrays(np.int32, shape, elements=st.integers(0, 3)))
        passed = draw(arrays(np.bool_, shape))
        outputs = OutputMatrix(results, results != 3, np.arange(shape[0] + 1)) if with_outputs else None
        problems.append(Evidence(Votes.from_matrix(passed), outputs))
    return problems


def log_ratio(model, passed, tests):
    """L of whole or broken numbers of tests passed, linear in between."""

    def at(s):
        right, wrong = (
            betaln(mean * total + s, (1 - mean) * total + tests - s)
            - betaln(mean * total, (1 - mean) * total)
            for mean, total in (
                (model.right_mean, model.right_total),
                (model.wrong_mean, model.wrong_total),
            )
        )
        return right - wrong

    below = int(passed)
    return at(below) + (passed - below) * (at(min(below + 1, tests)) - at(below))


def score(statistics, calibration, candidate):
    """The score of one candidate after all tests, term by term."""
    known = PrefixStatistics(statistics.evidence, [len(statistics.passed)])
    tests, seen = len(known.passed), int(known.passed.any(axis=1).sum())
    s, similar = int(known.tests_passed[0, candidate]), float(known.soft_tests_passed[0, candidate])
    n = known.output_group_sizes[0, candidate]
    with np.errstate(divide="ignore"):
        log_agreement = np.log(known.agreement[0, candidate])
    growth = (tests / 5) ** 0.3

    def mean_ratio(models, passed):
        return np.mean(
            [log_ratio(model, min(passed, m), m) for model, m in zip(models, (tests, seen), strict=True)]
        )

    weak_ratio = mean_ratio(calibration.weak, s)
    nothing = s == 0 and seen > 0
    if known.has_outputs:
        weak = 3 / 4 * np.log(n) + 1 / 2 * max(log_agreement, -30)
        weak += 2 / 3 * growth * (2 * weak_ratio - mean_ratio(calibration.weak, similar))
        weak -= 0.6 * seen * nothing
    else:
        weak = 1 / 2 * np.log(n) + growth * weak_ratio - 60 * nothing
    strong = 5 / 4 * np.log(n) + max(log_agreement, -6)
    trust = np.log(1 + calibration.strong[1].right_total) - 0.7
    trust += 2 * max(0, calibration.strong[0].right_mean - 0.8) / 0.2
    strong += trust * growth * mean_ratio(calibration.strong, s)
    return (1 - calibration.strength) * weak + calibration.strength * strong


@given(batches(), st.sampled_from([None, 0.0, 0.5, 1.0]))
def test_scores_are_those_of_the_formula(problems, strength):
    batch = batch_statistics(problems)
    for one in problems:
        tests = one.votes.tests
        calibration = batch.calibration.at(tests)
        if strength is not None:
            calibration = replace(calibration, strength=strength)
        fixed = BatchCalibration([], tests)
        fixed._known[0] = calibration
        statistics = PrefixStatistics(
            replace(one, batch=BatchStatistics(batch.best_pass_rate, batch.minority_ratio, fixed)), [tests]
        )
        expected = [score(statistics, calibration, candidate) for candidate in range(one.votes.candidates)]
        np.testing.assert_allclose(RULE.scores(statistics)[0], expected, atol=1e-9)


def test_with_votes_alone_candidates_that_pass_nothing_lose_to_every_other():
    weak = evidence(["........x.", ".........."], None)
    assert picks([weak] * 20) == [[8]] * 20


def test_tests_that_those_who_agree_pass_outweigh_a_larger_group():
    """Tests tell in the first batch. In the second they pass lone candidates against all others."""
    contested = evidence([".....xxx", "xxxxxxxx", ".....xxx", ".....xxx"], ["aaaaabbb"] * 4)
    telling = evidence(["xxxxx.x.", "xxxxxx..", "xxxxx...", "xxxxx..."], ["aaaaabcd"] * 4)
    misleading = evidence([".....x..", "......x.", ".....x..", ".......x"], ["aaaaabcd"] * 4)
    assert picks([contested, *[telling] * 30])[0] == [5, 6, 7]
    assert picks([contested, *[misleading] * 30])[0] == [0, 1, 2, 3, 4]


def test_where_tests_are_right_a_failure_outweighs_agreement():
    """In a strong pool, five of six candidates fail the second test of one problem."""
    unpopular = evidence(["xxxxxx", ".....x", "xxxxxx", "xxxxxx"], ["aaaaab"] * 4)
    usual = evidence(["xxxxx.", "xxxxxx", "xxxxx.", "xxxxxx"], ["aaaaab"] * 4)
    assert picks([unpopular, *[usual] * 40])[0] == [5]


@pytest.mark.parametrize("passed", [["...."] * 3, ["xxxx"] * 3])
@pytest.mark.parametrize("results", [None, ["aabc"] * 3])
def test_tests_that_all_pass_or_fail_leave_agreement_to_decide(passed, results):
    expected = [0, 1, 2, 3] if results is None else [0, 1]
    assert picks([evidence(passed, results)] * 4) == [expected] * 4


def test_candidates_that_never_return_a_value_lose():
    assert picks([evidence(["...."] * 2, ["!!!a"] * 2)])[0] == [3]


def test_a_single_candidate_wins():
    assert picks([evidence(["x"]), evidence(["."])]) == [[0], [0]]


def test_without_a_batch_the_picks_depend_on_the_problem_alone():
    one = evidence(["xx..", "xx..", "...x"], ["aabc"] * 3)
    assert RULE.winners(one).tolist() == [0, 1]
    assert RULE.winners(evidence(["x...", "x...", "...x"])).tolist() == [0]


def test_eliminated_candidates_hardly_change_the_calibration():
    """Losers that are not run on later tests count with those that they were run on."""
    rng = np.random.default_rng(0)
    whole, cut = [], []
    for _ in range(40):
        passed = rng.random((12, 9)) < np.array([0.8] * 5 + [0.2] * 4)
        results = np.tile(np.array([0, 0, 0, 0, 0, 1, 2, 3, 4], np.int32), (12, 1))
        run = np.ones_like(passed)
        run[5:, 5:] = False
        known = np.arange(13)
        whole.append(Evidence(Votes.from_matrix(passed), OutputMatrix(results, results >= 0, known)))
        seen = np.where(run, results, UNKNOWN).astype(np.int32)
        cut.append(Evidence(Votes.from_matrix(passed & run, run), OutputMatrix(seen, seen >= 0, known)))
    ours, theirs = (batch_statistics(part).calibration.at(12) for part in (whole, cut))
    assert ours.strength == theirs.strength
    for model, other in zip(ours.weak, theirs.weak, strict=True):
        assert model.right_mean == pytest.approx(other.right_mean, abs=0.05)
        assert model.wrong_mean == pytest.approx(other.wrong_mean, abs=0.1)

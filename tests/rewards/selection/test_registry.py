"""Contract of every selection rule, and the registry."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection import registry
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes

MATRICES = st.tuples(st.integers(0, 8), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))
NAMES = (
    "majority",
    "consensus",
    "bayesian",
    "dawid-skene",
    "leave-one-out",
    "outputs",
    "agreement",
    "soft_agreement",
    "batch",
    "calibrated",
)
every_rule = pytest.mark.parametrize(
    "rule", [selection_rule(name) for name in SELECTION_RULES], ids=lambda r: r.name
)


def known(passed, run=None):
    return Evidence(Votes.from_matrix(passed, run))


@every_rule
@given(matrix=MATRICES)
def test_winners_are_ascending_candidates_and_never_none(rule, matrix):
    winners = rule.winners(known(matrix))
    assert winners.dtype == np.intp
    assert 0 < len(winners) <= matrix.shape[1]
    assert (np.diff(winners) > 0).all()
    assert winners[0] >= 0
    assert winners[-1] < matrix.shape[1]


@every_rule
@given(matrix=MATRICES, data=st.data())
def test_the_order_of_tests_and_candidates_does_not_matter(rule, matrix, data):
    tests = data.draw(st.permutations(range(matrix.shape[0])))
    candidates = np.array(data.draw(st.permutations(range(matrix.shape[1]))))
    shuffled = rule.winners(known(matrix[tests][:, candidates]))
    assert set(candidates[shuffled]) == set(rule.winners(known(matrix)))


@every_rule
@given(matrix=MATRICES)
def test_candidates_with_equal_verdicts_win_or_lose_together(rule, matrix):
    votes = Votes.from_matrix(matrix)
    won = np.isin(np.arange(votes.candidates), rule.winners(Evidence(votes)))
    for group in set(votes.pass_sets()):
        assert len(set(won[votes.pass_sets() == group])) == 1


@every_rule
def test_without_tests_every_candidate_is_tied(rule):
    np.testing.assert_array_equal(rule.winners(Evidence(Votes(4))), [0, 1, 2, 3])


@every_rule
def test_tests_that_no_candidate_passes_leave_every_candidate_tied(rule):
    np.testing.assert_array_equal(rule.winners(known(np.zeros((3, 4), np.bool_))), [0, 1, 2, 3])


def test_names_are_known_without_any_rule_or_numpy():
    code = "import sys, testbudget.rewards.selection.names, testbudget.rewards.errors; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "scipy", "pydantic"} & set(loaded.split())


def test_scipy_is_loaded_by_the_rules_that_need_it_alone():
    code = (
        "import sys; from testbudget.rewards.selection.registry import selection_rule; "
        "selection_rule('calibrated'); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "scipy" not in loaded.split()


def test_a_rule_is_found_by_its_name():
    assert SELECTION_RULES == NAMES == tuple(registry._CLASSES)
    assert [selection_rule(name).name for name in SELECTION_RULES] == list(SELECTION_RULES)


def test_an_unknown_rule_is_refused_with_the_known_names():
    with pytest.raises(UserError, match=f"selection must be one of {', '.join(NAMES)} but got 'best'"):
        selection_rule("best")


@every_rule
@given(matrix=MATRICES, data=st.data())
def test_winners_after_every_count_of_tests_are_those_of_that_many_tests(rule, matrix, data):
    run = matrix | data.draw(st.one_of(st.just(True), arrays(np.bool_, matrix.shape)))
    growing = rule.winners_after(known(matrix, run), range(len(matrix) + 1))
    assert growing.shape == (matrix.shape[0] + 1, matrix.shape[1])
    for tests, won in enumerate(growing):
        expected = rule.winners(known(matrix[:tests], run[:tests]))
        np.testing.assert_array_equal(np.flatnonzero(won), expected)

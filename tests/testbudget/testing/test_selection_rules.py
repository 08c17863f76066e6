"""The published suite: every built-in rule passes it; a rule that breaks one part of the contract fails."""

import numpy as np
import pytest

from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.rewards.selection.registry import selection_rule
from testbudget.testing import selection_rules as suite
from testbudget.testing.selection_rules import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SELECTION_RULES)
def test_every_built_in_rule_keeps_the_contract(name, check):
    check(selection_rule(name))


def test_the_suite_holds_every_check():
    assert {check.__name__ for check in CHECKS} == {
        name for name in vars(suite) if name.startswith("check_")
    }


class Broken(Majority):
    """The majority vote with one part of its results changed."""

    def winners(self, evidence):
        return self.change(super().winners(evidence), evidence)

    def winners_after(self, evidence, counts):
        return SelectionRule.winners_after(self, evidence, counts)


class First(Broken):
    def change(self, winners, evidence):
        return winners[:1]


class Descending(Broken):
    def change(self, winners, evidence):
        return winners[::-1]


class Floats(Broken):
    def change(self, winners, evidence):
        return winners.astype(float)


class Nobody(Broken):
    def change(self, winners, evidence):
        return winners[:0]


class Forgetful(Broken):
    calls = 0

    def change(self, winners, evidence):
        self.calls += 1
        return np.arange(evidence.votes.candidates) if self.calls % 7 == 0 else winners


class LastTest(Broken):
    def change(self, winners, evidence):
        last = evidence.votes.passed()[-1:].any(axis=0)
        return np.flatnonzero(last) if last.any() else np.arange(len(last))


class UsesOutputs(Broken):
    def change(self, winners, evidence):
        return np.arange(evidence.votes.candidates) if evidence.outputs is not None else winners


class UsesBatch(Broken):
    def change(self, winners, evidence):
        return np.arange(evidence.votes.candidates) if evidence.batch is not None else winners


class Looks(Majority):
    def winners_after(self, evidence, counts):
        won = super().winners_after(evidence, counts)
        won[:] = won[-1]
        return won


class CountsColumns(Majority):
    merges_equal = True

    def winners(self, evidence):
        groups = evidence.votes.pass_sets()
        sizes = np.bincount(groups)[groups]
        return np.flatnonzero(sizes == sizes.max())


@pytest.mark.parametrize(
    ("rule", "check", "sentence"),
    [
        (Descending, suite.check_winners_are_ascending_positions, "must be ascending positions of"),
        (Floats, suite.check_winners_are_ascending_positions, "must be an array of intp"),
        (Nobody, suite.check_winners_are_ascending_positions, "at least one, but got"),
        (First, suite.check_all_candidates_win_before_the_first_test, "all 2 candidates must win"),
        (
            First,
            suite.check_the_numbers_of_candidates_do_not_matter,
            "when given in another order",
        ),
        (First, suite.check_equal_candidates_win_together, "have equal votes and outputs but only"),
        (Forgetful, suite.check_equal_evidence_gives_equal_winners, "after other problems, gave others"),
        (LastTest, suite.check_the_order_of_tests_does_not_matter, "same tests in another order"),
        (
            Looks,
            suite.check_winners_after_are_those_of_the_first_tests,
            "winners_after gives .* but winners",
        ),
        (UsesOutputs, suite.check_what_a_rule_uses_is_what_it_says, "uses_outputs is False but"),
        (UsesBatch, suite.check_what_a_rule_uses_is_what_it_says, "uses_batch is False but"),
        (CountsColumns, suite.check_merged_candidates_win_as_each_of_them, "merges_equal is True but"),
    ],
)
def test_a_rule_that_breaks_the_contract_fails_with_a_sentence(rule, check, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check(rule())

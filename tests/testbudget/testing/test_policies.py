"""The published suite: a policy that breaks one part of the contract fails the check of that part.

That every built-in policy passes is tested in tests/policies/test_conformance.py.
"""

import numpy as np
import pytest

from testbudget.policies.adaptive import Adaptive
from testbudget.policies.greedy import Greedy
from testbudget.policies.uniform import Uniform
from testbudget.testing import policies as suite
from testbudget.testing.policies import CHECKS


def test_the_suite_holds_every_check():
    assert {check.__name__ for check in CHECKS} == {
        name for name in vars(suite) if name.startswith("check_")
    }


class Nameless(Uniform):
    name = ""


class NeedsTheUnknown(Uniform):
    needs = frozenset({"prices"})

    @classmethod
    def from_context(cls, context):
        return cls()


class Careless(Greedy):
    @classmethod
    def from_context(cls, context):
        rates = np.full(context.problems, 0.5) if context.pass_rates is None else context.pass_rates
        return cls(rates)


class Secretive(Uniform):
    @classmethod
    def from_context(cls, context):
        cls.problems = len(context.pass_rates)
        return cls()


class Negative(Uniform):
    def values(self, problems, granted):
        return 1.0 / (1 + granted) - 1e-3


class Infinite(Uniform):
    def values(self, problems, granted):
        return np.where(granted > 0, 1.0, np.inf)


class WholeNumbers(Uniform):
    def values(self, problems, granted):
        return np.ones_like(granted)


class Rising(Uniform):
    def values(self, problems, granted):
        return np.where(granted == 7, 0.9, super().values(problems, granted))


class Impatient(Uniform):
    asked = 0

    def values(self, problems, granted):
        self.asked += 1
        return super().values(problems, granted) / self.asked


class Overwriting(Uniform):
    def values(self, problems, granted):
        granted += 1
        return 1.0 / granted


class Relative(Uniform):
    def values(self, problems, granted):
        values = super().values(problems, granted)
        return values / values.max(initial=0)


class FirstComesFirst(Uniform):
    def values(self, problems, granted):
        return super().values(problems, granted) / (1 + problems)


class Halting(Uniform):
    def increments(self, granted):
        return np.where(granted > 100, 0, 1)


class Talkative(Uniform):
    def terms(self, problems, granted):
        return {"tests": granted}


class Changeable(Uniform):
    def terms(self, problems, granted):
        return {f"problem {problem}": np.zeros(len(problems)) for problem in problems}


class SecretlyAdaptive(Adaptive):
    static = True


class Forgetful(Uniform):
    made = 0

    def __init__(self):
        type(self).made += 1
        self.factor = 1.0 / self.made

    def values(self, problems, granted):
        return self.factor * super().values(problems, granted)


class CountsCalls(Uniform):
    static = False
    calls = 0

    def observe(self, problems, granted, p_wrong, p_change):
        self.calls += 1

    def values(self, problems, granted):
        return super().values(problems, granted) / (1 + self.calls)


@pytest.mark.parametrize(
    ("policy", "check", "sentence"),
    [
        (
            Nameless,
            suite.check_the_class_names_itself_and_its_needs,
            "name must be a text that is not empty",
        ),
        (NeedsTheUnknown, suite.check_the_class_names_itself_and_its_needs, "needs must be a frozenset of"),
        (Careless, suite.check_a_policy_asks_for_what_it_needs_and_no_more, "must refuse with UserError"),
        (
            Secretive,
            suite.check_a_policy_asks_for_what_it_needs_and_no_more,
            "must do without curves, gain_models",
        ),
        (Negative, suite.check_values_are_finite_and_never_negative, "must be finite and at least 0"),
        (Infinite, suite.check_values_are_finite_and_never_negative, "must be finite and at least 0"),
        (WholeNumbers, suite.check_values_are_finite_and_never_negative, "values must be float64"),
        (Rising, suite.check_values_never_rise_with_the_tests_granted, "0.9 after 7"),
        (Impatient, suite.check_a_question_changes_nothing, "gave others"),
        (Overwriting, suite.check_a_question_changes_nothing, "belong to the caller but were changed"),
        (Relative, suite.check_each_problem_is_valued_alone, "must be those of each alone"),
        (FirstComesFirst, suite.check_the_order_of_problems_does_not_matter, "order of the problems"),
        (Halting, suite.check_increments_are_whole_numbers_from_one_on, "must be at least 1"),
        (Talkative, suite.check_terms_have_the_shape_of_the_values, "the term tests must be float64"),
        (Changeable, suite.check_terms_have_the_shape_of_the_values, "the same names in every call"),
        (SecretlyAdaptive, suite.check_a_static_policy_ignores_observations, "static is True but"),
        (
            Forgetful,
            suite.check_equal_contexts_and_observations_give_equal_values,
            "must have equal values",
        ),
        (CountsCalls, suite.check_the_division_of_observations_does_not_matter, "observed one by one"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_policy_that_breaks_the_contract_fails(policy, check, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check(policy.from_context)


def test_every_check_has_a_policy_that_fails_it():
    (cases,) = (
        mark.args[1]
        for mark in test_a_policy_that_breaks_the_contract_fails.pytestmark
        if mark.name == "parametrize"
    )
    assert {check for _, check, _ in cases} == set(CHECKS)

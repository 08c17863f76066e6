"""Search spaces from files."""

import optuna
import pytest

from testbudget.analysis.tune.space import SearchSpace
from testbudget.analysis.tune.space_file import own_space, read_space
from testbudget.rewards.errors import UserError

SPACE = """
selection: [majority]
policy.name: [adaptive]
tests_per_problem: {low: 2, high: 6, log: true}
policy.min_tests: [0, 3, 40]
policy.max_tests: {low: 1, high: 9}
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "space.yaml"


def test_only_the_values_of_the_file_are_tried_within_what_the_cap_allows(path):
    path.write_text(SPACE)
    own = own_space(path)
    assert (own.selections, own.policies) == (("majority",), ("adaptive",))
    space = SearchSpace(("majority",), ("adaptive",), None, 12, 20, own.numbers)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    choices = [space.suggest(study.ask()) for _ in range(50)]
    assert {choice.tests_per_problem for choice in choices} == {2, 3, 4, 5, 6}
    assert all(choice.min_tests in (0, 3, choice.tests_per_problem) for choice in choices)
    assert all(choice.tests_per_problem < choice.max_tests <= 9 for choice in choices)


def test_without_a_file_nothing_is_named():
    own = own_space(None)
    assert (own.selections, own.policies, own.numbers) == (None, None, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must name parameters with values to try"),
        ("[1]", "must name parameters with values to try"),
        ("{", "must be a YAML file"),
        ("cap: [1]", "must name parameters of selection, policy.name, tests_per_problem"),
        ("selection: majority", "selection must be a list of names but got 'majority'"),
        ("policy.name: []", "policy.name must be a list of names"),
        ("tests_per_problem: [1.5]", "must be a list of whole numbers or a range"),
        ("tests_per_problem: {low: 3, high: 2}", "must be low and high, whole numbers"),
        ("tests_per_problem: {low: 3}", "must be low and high, whole numbers"),
        ("tests_per_problem: {low: 0, high: 2, log: true}", "a low of at least 1 if log is true"),
        ("policy.min_tests: [-1]", "whole numbers from 0 on"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_in_a_sentence(path, text, sentence):
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_space(path)


def test_a_file_that_is_not_there_is_refused(path):
    with pytest.raises(UserError, match="must be a YAML file of values to try but"):
        read_space(path)

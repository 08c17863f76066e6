"""What a trial may try."""

import optuna
import pytest

from testbudget.analysis.tune.space import Space
from testbudget.policies.registry import POLICY_NAMES, policy_class
from testbudget.scheduler.job import PolicySection

POLICIES = tuple(name for name in POLICY_NAMES if not policy_class(name).uses_curves)


def suggested(cap: float | None, trials: int = 60) -> list:
    space = Space(("majority", "auto"), POLICIES, cap, most_cap=12, most_tests=20)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [(space, trial, space.suggest(trial)) for trial in (study.ask() for _ in range(trials))]


@pytest.mark.parametrize("cap", [None, 0.5, 1, 2.5, 12])
def test_all_that_is_tried_can_be_said_in_a_job_and_fits_the_cap(cap):
    for _, _, choice in suggested(cap):
        PolicySection(
            name=choice.policy,
            train_on="run" if policy_class(choice.policy).uses_gain_models else None,
            min_tests=choice.min_tests,
            max_tests=choice.max_tests,
        )
        assert choice.min_tests <= choice.tests_per_problem
        assert choice.max_tests is None or choice.tests_per_problem < choice.max_tests < 20
        assert choice.tests_per_problem == (cap or choice.tests_per_problem) <= 12


def test_bounds_are_not_tried_where_they_change_nothing():
    uniform = [choice for _, _, choice in suggested(8) if choice.policy == "uniform"]
    assert {(choice.min_tests, choice.max_tests) for choice in uniform} == {(0, None)}


def test_the_parameters_of_a_trial_give_its_choice_again():
    for space, trial, choice in suggested(None):
        assert space.suggest(optuna.trial.FixedTrial(trial.params)) == choice


def test_equal_budgets_with_each_rule_are_tried_first():
    space = Space(("majority", "auto"), POLICIES, 8, most_cap=12, most_tests=20)
    first = [space.suggest(optuna.trial.FixedTrial(parameters)) for parameters in space.first()]
    assert [(choice.selection, choice.policy) for choice in first] == [
        ("majority", "uniform"),
        ("auto", "uniform"),
    ]

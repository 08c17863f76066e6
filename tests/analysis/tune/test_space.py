"""Search space of a study, and the split of the problems."""

import numpy as np
import optuna
import pytest

from testbudget.analysis.tune.space import SearchSpace, split_held_out
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import policy_class
from testbudget.rewards.errors import UserError
from testbudget.scheduler.sections.policy import PolicySection

POLICIES = tuple(name for name in POLICY_NAMES if "curves" not in policy_class(name).needs)
HASHES = [f"{number:064x}" for number in range(40)]


def suggested(cap: float | None, trials: int = 60) -> list:
    space = SearchSpace(("majority", "calibrated"), POLICIES, cap, max_cap=12, max_tests=20)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [(space, trial, space.suggest(trial)) for trial in (study.ask() for _ in range(trials))]


@pytest.mark.parametrize("cap", [None, 0.5, 1, 2.5, 12])
def test_every_suggestion_can_be_stated_in_a_job_and_fits_the_cap(cap):
    for _, _, choice in suggested(cap):
        PolicySection(
            name=choice.policy,
            gain_model_from="run" if "gain_models" in policy_class(choice.policy).needs else None,
            min_tests=choice.min_tests,
            max_tests=choice.max_tests,
        )
        assert choice.min_tests <= choice.tests_per_problem
        assert choice.max_tests is None or choice.tests_per_problem < choice.max_tests < 20
        assert choice.tests_per_problem == (cap or choice.tests_per_problem) <= 12


def test_bounds_are_not_tried_with_equal_budgets():
    uniform = [choice for _, _, choice in suggested(8) if choice.policy == "uniform"]
    assert {(choice.min_tests, choice.max_tests) for choice in uniform} == {(0, None)}


def test_the_parameters_of_a_trial_determine_its_choice():
    for space, trial, choice in suggested(None):
        assert space.suggest(optuna.trial.FixedTrial(trial.params)) == choice


def test_equal_budgets_with_each_rule_are_tried_first():
    space = SearchSpace(("majority", "calibrated"), POLICIES, 8, max_cap=12, max_tests=20)
    first = [space.suggest(optuna.trial.FixedTrial(parameters)) for parameters in space.first()]
    assert [(choice.selection, choice.policy) for choice in first] == [
        ("majority", "uniform"),
        ("calibrated", "uniform"),
    ]


def test_the_given_share_of_problems_is_held_out():
    training, held_out = split_held_out(HASHES, 0.3, 0)
    assert len(held_out) == 12
    assert sorted([*training, *held_out]) == list(range(40))


def test_a_problem_is_held_out_whatever_its_position():
    shuffled = [HASHES[position] for position in np.random.default_rng(0).permutation(40)]
    before, after = split_held_out(HASHES, 0.3, 0)[1], split_held_out(shuffled, 0.3, 0)[1]
    assert {HASHES[position] for position in before} == {shuffled[position] for position in after}


def test_another_seed_holds_out_other_problems():
    assert set(split_held_out(HASHES, 0.3, 0)[1]) != set(split_held_out(HASHES, 0.3, 1)[1])


def test_problems_with_equal_texts_stay_together():
    training, held_out = split_held_out(HASHES + HASHES, 0.5, 0)
    assert {position % 40 for position in training}.isdisjoint(position % 40 for position in held_out)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_fewer_than_two_training_or_held_out_problems_are_refused(share):
    with pytest.raises(UserError, match="at least 2 problems on either side"):
        split_held_out(HASHES, share, 0)

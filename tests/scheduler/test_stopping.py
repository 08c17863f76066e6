"""Problems that get no more tests: who is stopped, where the tests go then, and after a cut."""

from contextlib import suppress

import numpy as np
import pytest

from testbudget.rewards.confidence.features import FEATURES
from testbudget.rewards.confidence.model import (
    CONFIDENCE_FOLDS,
    ConfidenceModels,
    ConfidenceTarget,
    LogisticModel,
    RuleFamily,
)
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.log import EventLog

from .replaying import CutOffError, many_tests

FEATURES = len(FEATURES) + 2


def harm(intercept, **weights) -> ConfidenceModels:
    """What was learned from runs where tests did harm, and never help, as these signs foretold."""
    of_signs = np.zeros(FEATURES)
    for name, weight in weights.items():
        of_signs[FEATURES.index(name.replace("_", " "))] = weight
    falls = LogisticModel(intercept, np.zeros(FEATURES), of_signs)
    rises = LogisticModel(-20.0, np.zeros(FEATURES), np.zeros(FEATURES))
    return ConfidenceModels(
        "harmful runs",
        {
            (question, family): (model,) * CONFIDENCE_FOLDS
            for question, model in ((ConfidenceTarget.FALLS, falls), (ConfidenceTarget.RISES, rises))
            for family in RuleFamily
        }
        | {(ConfidenceTarget.CANDIDATE, RuleFamily.OUTPUTS_USED): (rises,) * CONFIDENCE_FOLDS},
    )


def stopped(run):
    with EventLog(run.path) as event_log:
        return {problem: look.tests for problem, look in event_log.harm_checks.items() if look.stops}


def run_of(recorded, path, confidence_models, rule="majority", **limits):
    run = many_tests(recorded, path, **limits)
    run.rule, run.confidence_models = selection_rule(rule), confidence_models
    return run


def harm_checks(run):
    with EventLog(run.path) as event_log:
        return event_log.harm_checks


def test_problems_get_no_more_tests_once_these_are_likelier_to_harm(recorded, tmp_path):
    run = run_of(recorded, tmp_path / "run", harm(-100.0, number_of_tests=50.0), tests=100)
    assert run.part().tests == 5 * 9
    assert run.tests() == [9] * 5
    assert list(stopped(run).values()) == [9] * 5


def test_what_a_stopped_problem_does_not_get_goes_to_the_others(recorded, tmp_path):
    # The programs of the first problem agree more, since twice two and two squared are the same.
    confidence_models = harm(65.0, agreement_with_all_candidates=100.0)
    run = run_of(recorded, tmp_path / "run", confidence_models, tests=61)
    assert run.part().tests == 61
    assert run.tests() == [5, 14, 14, 14, 14]
    assert stopped(run) == {recorded.problems[0].id: 5}


@pytest.mark.parametrize("policy", ["uniform", "greedy"])
def test_where_nobody_is_stopped_budgets_are_as_without_looking(recorded, tmp_path, policy):
    seen = {}
    for name, confidence_models in (("looked", harm(-20.0)), ("not", None)):
        run = run_of(recorded, tmp_path / name, confidence_models, policy=policy, tests=63)
        run.part()
        seen[name] = run.seen()
    assert seen["looked"] == seen["not"]


def test_problems_are_looked_at_where_a_heat_of_a_race_would_end(recorded, tmp_path):
    run = run_of(recorded, tmp_path / "run", harm(-20.0), tests=100)
    run.part()
    with EventLog(run.path) as event_log:
        for problem in recorded.problems:
            assert [grant.first for grant in event_log.grants[problem.id]] == [0, 5, 9, 16]
            assert event_log.harm_checks[problem.id].tests == 20


@pytest.mark.parametrize("rule", ["majority", "auto"])
@pytest.mark.parametrize("policy", ["uniform", "greedy"])
def test_a_run_cut_off_anywhere_stops_the_same_problems(recorded, tmp_path, rule, policy):
    # Harm shows first in the first problem, and everywhere by what the whole batch has run by then.
    confidence_models = harm(
        151.0, agreement_with_all_candidates=100.0, **{"minority ratio of the batch": -800.0}
    )
    whole = run_of(recorded, tmp_path / "whole", confidence_models, rule, policy=policy, tests=70)
    cost = whole.part()
    assert stopped(whole)
    for results in range(1, 30, 4):
        cut = run_of(recorded, tmp_path / str(results), confidence_models, rule, policy=policy, tests=70)
        with suppress(CutOffError):
            cut.part(results)
        assert cut.part() == cost
        assert cut.seen() == whole.seen()
        assert harm_checks(cut) == harm_checks(whole)

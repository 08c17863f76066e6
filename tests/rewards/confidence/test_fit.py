import math

import numpy as np
import pytest

from testbudget.rewards.confidence.fit import fit_confidence_models, training_rows
from testbudget.rewards.confidence.model import (
    CONFIDENCE_FOLDS,
    ConfidenceTarget,
    RuleFamily,
    p_correct_of_candidates,
    p_correct_of_pick,
)
from testbudget.rewards.selection.majority import Majority

RULE = Majority()


def rows_of(problems):
    for number, (evidence, correct) in enumerate(problems):
        random = np.random.default_rng(number)
        yield from training_rows(evidence, correct, [RULE], number % CONFIDENCE_FOLDS, math.nan, random)


@pytest.fixture(scope="module")
def confidence_models(problems):
    return fit_confidence_models(rows_of(problems), "made up")


def test_p_correct_of_unseen_picks_is_calibrated_and_separates_correct_from_wrong(
    problems, confidence_models
):
    probability, was_correct = [], []
    for number, (evidence, correct) in enumerate(problems):
        for count in (1, 3, 10):
            known = evidence.first(count)
            winners = RULE.winners(known)
            probability.append(
                p_correct_of_pick(known, RULE, winners, confidence_models, number % CONFIDENCE_FOLDS)
            )
            was_correct.append(correct[winners].mean())
    probability, was_correct = np.array(probability), np.array(was_correct)
    assert abs(probability.mean() - was_correct.mean()) < 0.05
    highest = np.argsort(-probability)[: len(was_correct) // 2]
    assert was_correct[highest].mean() > was_correct.mean() + 0.1
    assert np.mean((probability - was_correct) ** 2) < was_correct.var()


def test_correct_candidates_have_a_higher_p_correct_than_wrong_ones(problems, confidence_models):
    p_correct = [
        p_correct_of_candidates(evidence, confidence_models, number % CONFIDENCE_FOLDS)
        for number, (evidence, _) in enumerate(problems)
    ]
    was_correct = np.concatenate([correct for _, correct in problems])
    predicted = np.concatenate(p_correct)
    assert predicted[was_correct].mean() > predicted[~was_correct].mean() + 0.3
    assert abs(predicted.mean() - was_correct.mean()) < 0.05


def test_the_model_of_a_fold_does_not_depend_on_its_labels(problems, confidence_models):
    flipped = [
        (evidence, ~correct if number % CONFIDENCE_FOLDS == 2 else correct)
        for number, (evidence, correct) in enumerate(problems)
    ]
    other = fit_confidence_models(rows_of(flipped), "flipped")
    key = (ConfidenceTarget.PICK, RuleFamily.OUTPUTS_RECORDED)
    np.testing.assert_array_equal(confidence_models.models[key][2].weights, other.models[key][2].weights)
    assert not np.allclose(confidence_models.models[key][1].weights, other.models[key][1].weights)


def test_without_outputs_only_models_for_votes_are_fitted(problems):
    evidence, correct = problems[0]
    without_outputs = [(type(evidence)(evidence.votes), correct)]
    assert {family for _, family in fit_confidence_models(rows_of(without_outputs), "one").models} == {
        RuleFamily.VOTES
    }

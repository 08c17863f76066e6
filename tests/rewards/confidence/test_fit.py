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


def taught(problems):
    for number, (evidence, correct) in enumerate(problems):
        random = np.random.default_rng(number)
        yield from training_rows(evidence, correct, [RULE], number % CONFIDENCE_FOLDS, math.nan, random)


@pytest.fixture(scope="module")
def confidence_models(problems):
    return fit_confidence_models(taught(problems), "made up")


def test_probabilities_of_unseen_picks_are_calibrated_and_tell_right_from_wrong(
    problems, confidence_models
):
    probability, right = [], []
    for number, (evidence, correct) in enumerate(problems):
        for count in (1, 3, 10):
            known = evidence.first(count)
            winners = RULE.winners(known)
            probability.append(
                p_correct_of_pick(known, RULE, winners, confidence_models, number % CONFIDENCE_FOLDS)
            )
            right.append(correct[winners].mean())
    probability, right = np.array(probability), np.array(right)
    assert abs(probability.mean() - right.mean()) < 0.05
    surest = np.argsort(-probability)[: len(right) // 2]
    assert right[surest].mean() > right.mean() + 0.1
    assert np.mean((probability - right) ** 2) < right.var()


def test_right_candidates_are_believed_more_than_wrong_ones(problems, confidence_models):
    beliefs = [
        p_correct_of_candidates(evidence, confidence_models, number % CONFIDENCE_FOLDS)
        for number, (evidence, _) in enumerate(problems)
    ]
    right = np.concatenate([correct for _, correct in problems])
    believed = np.concatenate(beliefs)
    assert believed[right].mean() > believed[~right].mean() + 0.3
    assert abs(believed.mean() - right.mean()) < 0.05


def test_a_fold_of_problems_is_judged_by_a_model_that_has_not_seen_it(problems, confidence_models):
    turned = [
        (evidence, ~correct if number % CONFIDENCE_FOLDS == 2 else correct)
        for number, (evidence, correct) in enumerate(problems)
    ]
    other = fit_confidence_models(taught(turned), "turned")
    key = (ConfidenceTarget.PICK, RuleFamily.OUTPUTS_RECORDED)
    np.testing.assert_array_equal(confidence_models.models[key][2].weights, other.models[key][2].weights)
    assert not np.allclose(confidence_models.models[key][1].weights, other.models[key][1].weights)


def test_without_outputs_only_votes_are_learned(problems):
    evidence, correct = problems[0]
    blind = [(type(evidence)(evidence.votes), correct)]
    assert {family for _, family in fit_confidence_models(taught(blind), "one").models} == {
        RuleFamily.VOTES
    }

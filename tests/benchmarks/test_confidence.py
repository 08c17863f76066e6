"""Scores follow their definitions, and every target is fitted on the recorded run."""

import math

import numpy as np
import pytest

from testbudget.rewards.confidence.fit import fit_confidence_models
from testbudget.rewards.confidence.model import ConfidenceTarget, RuleFamily
from testbudget.rewards.seeds import problem_fold


@pytest.fixture
def confidence(script):
    return script("confidence")


def test_scores_follow_their_definitions(confidence):
    outcomes, scores = np.array([1.0, 0.0, 1.0, 0.5]), np.array([0.95, 0.05, 0.45, 0.45])
    # Weighted pairs of a positive and a negative outcome, 2.5 x 1.5: ranked right, or half of a tie.
    ranked = 1 * 1.5 + 1 * (1 + 0.25) + 0.5 * (1 + 0.25)
    assert confidence.auroc(outcomes, scores) == pytest.approx(ranked / (2.5 * 1.5))
    assert confidence.calibration_error(outcomes, scores) == pytest.approx((0.05 + 0.05 + 0.6) / 4)
    assert confidence.accuracy_at_coverage(scores, outcomes) == [62.5, 83.3, 83.3, 100.0]


def test_rows_without_a_score_are_left_out_of_the_auroc(confidence):
    scores = np.array([0.9, np.nan, 0.1])
    assert confidence.auroc(np.array([1.0, 0.0, 0.0]), scores) == 1
    assert math.isnan(confidence.auroc(np.array([1.0, 1.0, 1.0]), scores))


def test_every_target_is_fitted_on_the_recorded_run(confidence):
    problems = confidence.labeled_problems()[:6]
    folds = [problem_fold(str(number)) for number in range(6)]
    drawn = confidence.draw_problems(problems, folds, np.full(6, 0.5), "worst third", 0)
    rows = list(confidence.part_rows(drawn, "worst third", 0))
    confidence_models = fit_confidence_models((one.rows for one in rows), "six problems")
    assert {target for target, _ in confidence_models.models} == set(ConfidenceTarget)
    selected = [
        one for one in rows if one.rows.family is RuleFamily.OUTPUTS_RECORDED and one.rule == "majority"
    ]
    scores, outcomes, tests = confidence.predict(confidence_models, selected, ConfidenceTarget.PICK)
    assert len(scores) == len(outcomes) == len(tests)
    assert ((scores > 0) & (scores < 1)).all()

from dataclasses import replace

import numpy as np
import pytest

from testbudget.rewards.confidence.default import DEFAULT_MODELS
from testbudget.rewards.confidence.features import FEATURES
from testbudget.rewards.confidence.model import (
    CONFIDENCE_FOLDS,
    ConfidenceModels,
    ConfidenceTarget,
    RuleFamily,
)
from testbudget.rewards.seeds import problem_fold


def test_problems_spread_over_all_folds_and_stay_where_they_are():
    folds = [problem_fold(f"{number:064x}") for number in range(200)]
    assert set(folds) == set(range(CONFIDENCE_FOLDS))
    assert folds == [problem_fold(f"{number:064x}") for number in range(200)]


def test_what_is_written_as_text_comes_back():
    again = ConfidenceModels.of_text("somewhere", DEFAULT_MODELS.as_text())
    assert again.source == "somewhere"
    assert again.as_text() == DEFAULT_MODELS.as_text()
    assert set(again.models) == set(DEFAULT_MODELS.models)


def test_text_with_numbers_missing_is_refused():
    with pytest.raises(ValueError, match="reshape"):
        ConfidenceModels.of_text("somewhere", DEFAULT_MODELS.as_text().rsplit(" ", 1)[0])


def test_what_is_shipped_answers_every_question_for_every_family():
    for question in ConfidenceTarget:
        families = {family for asked, family in DEFAULT_MODELS.models if asked is question}
        needed = (
            {RuleFamily.VOTES, RuleFamily.BOTH}
            if question is ConfidenceTarget.CANDIDATE
            else set(RuleFamily)
        )
        assert families == needed
    for (question, _), folds in DEFAULT_MODELS.models.items():
        more = 2 if question in {ConfidenceTarget.RISES, ConfidenceTarget.FALLS} else 0
        assert [len(model.weights) for model in folds] == [len(FEATURES) + more] * CONFIDENCE_FOLDS
        assert all(np.isfinite(model.weights).all() for model in folds)


def test_outputs_are_left_out_where_nothing_was_learned_of_them(problems):
    evidence, _ = problems[0]
    assert DEFAULT_MODELS.readable(evidence) is evidence
    by_votes = {key: models for key, models in DEFAULT_MODELS.models.items() if key[1] is RuleFamily.VOTES}
    assert replace(DEFAULT_MODELS, models=by_votes).readable(evidence).outputs is None

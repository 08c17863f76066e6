from dataclasses import replace

import numpy as np
import pytest

from rewards.confidence import SHIPPED, Calibration, Family, Question, fold_of
from rewards.confidence.calibration import FOLDS
from rewards.confidence.signs import SIGNS


def test_problems_spread_over_all_folds_and_stay_where_they_are():
    folds = [fold_of(f"{number:064x}") for number in range(200)]
    assert set(folds) == set(range(FOLDS))
    assert folds == [fold_of(f"{number:064x}") for number in range(200)]


def test_what_is_written_as_text_comes_back():
    again = Calibration.of_text("somewhere", SHIPPED.as_text())
    assert again.source == "somewhere"
    assert again.as_text() == SHIPPED.as_text()
    assert set(again.models) == set(SHIPPED.models)


def test_text_with_numbers_missing_is_refused():
    with pytest.raises(ValueError, match="reshape"):
        Calibration.of_text("somewhere", SHIPPED.as_text().rsplit(" ", 1)[0])


def test_what_is_shipped_answers_every_question_for_every_family():
    for question in Question:
        families = {family for asked, family in SHIPPED.models if asked is question}
        needed = {Family.VOTES, Family.BOTH} if question is Question.CANDIDATE else set(Family)
        assert families == needed
    for (question, _), folds in SHIPPED.models.items():
        more = 2 if question in {Question.RISES, Question.FALLS} else 0
        assert [len(model.weights) for model in folds] == [len(SIGNS) + more] * FOLDS
        assert all(np.isfinite(model.weights).all() for model in folds)


def test_outputs_are_left_out_where_nothing_was_learned_of_them(problems):
    evidence, _ = problems[0]
    assert SHIPPED.readable(evidence) is evidence
    by_votes = {key: models for key, models in SHIPPED.models.items() if key[1] is Family.VOTES}
    assert replace(SHIPPED, models=by_votes).readable(evidence).outputs is None

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import testbudget.rewards.confidence.model as confidence_model
from testbudget.rewards.confidence.features import FEATURES
from testbudget.rewards.confidence.model import (
    CONFIDENCE_FOLDS,
    ConfidenceModels,
    ConfidenceTarget,
    LogisticModel,
    RuleFamily,
    default_models,
)
from testbudget.rewards.confidence.pick import PICK_FEATURES


def test_models_survive_json():
    shipped = default_models()
    again = ConfidenceModels.of_json(shipped.as_json())
    assert again.source == shipped.source
    assert again.as_json() == shipped.as_json()
    assert set(again.models) == set(shipped.models)


def test_the_default_file_equals_the_json_of_its_models():
    path = Path(confidence_model.__file__).with_name("default.json")
    assert path.read_text(encoding="utf-8") == default_models().as_json()


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[]",
        '{"source": "a", "models": {}}',
        '{"version": 9, "source": "a", "models": {}}',
        '{"version": 2, "source": "a"}',
        '{"version": 2, "source": "a", "models": {"pick": []}}',
        '{"source": "a", "models": {"pick/votes": [[1.0, 2.0]]}}',
        '{"source": "a", "models": {"pick/votes": [[1.0, 2.0, 3.0]]}}',
    ],
)
def test_json_of_something_else_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        ConfidenceModels.of_json(text)


def test_default_models_cover_every_target_and_family():
    for target in ConfidenceTarget:
        families = {family for asked, family in default_models().models if asked is target}
        needed = (
            {RuleFamily.VOTES, RuleFamily.OUTPUTS_USED}
            if target is ConfidenceTarget.CANDIDATE
            else set(RuleFamily)
        )
        assert families == needed
    for (target, _), folds in default_models().models.items():
        more = 2 if target in {ConfidenceTarget.RISES, ConfidenceTarget.FALLS} else 0
        of_picks = target in {ConfidenceTarget.PICK, ConfidenceTarget.CANDIDATE}
        features = len(PICK_FEATURES) if of_picks else len(FEATURES) + more
        assert [len(model.weights) for model in folds] == [features] * CONFIDENCE_FOLDS
        assert all(np.isfinite(model.weights).all() for model in folds)


def test_outputs_are_left_out_without_models_for_outputs(problems):
    evidence, _ = problems[0]
    assert default_models().readable(evidence) is evidence
    by_votes = {
        key: models for key, models in default_models().models.items() if key[1] is RuleFamily.VOTES
    }
    assert replace(default_models(), models=by_votes).readable(evidence).outputs is None


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    features = random.normal(size=(4000, 3)) * [1, 5, 0.1] + [0, 3, 0]
    log_odds = 0.5 + features @ [1.0, -0.3, 4.0]
    outcomes = (random.random(4000) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return features, outcomes


def test_probabilities_are_those_of_scikit_learn(rows):
    features, outcomes = rows
    ours = LogisticModel.fit(features, outcomes, np.ones(4000)).probability(features)
    theirs = LogisticRegression(C=1e3).fit(features, outcomes).predict_proba(features)[:, 1]
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_an_unknown_feature_counts_as_its_mean(rows):
    features, outcomes = rows
    model = LogisticModel.fit(features, outcomes, np.ones(4000))
    asked = features[:5].copy()
    asked[:, 1] = np.nan
    known = features[:5].copy()
    known[:, 1] = features[:, 1].mean()
    np.testing.assert_allclose(model.probability(asked), model.probability(known))


def test_a_share_counts_as_a_weighted_pair_of_outcomes(rows):
    features, _ = rows
    some, shares = features[:200], np.linspace(0.1, 0.9, 200)
    split = LogisticModel.fit(
        np.concatenate([some, some]), np.repeat([1.0, 0.0], 200), np.concatenate([shares, 1 - shares])
    )
    whole = LogisticModel.fit(some, shares, np.ones(200))
    np.testing.assert_allclose(whole.probability(some), split.probability(some), atol=1e-6)


def test_constant_and_unknown_features_have_no_weight(rows):
    features, outcomes = rows
    features = features.copy()
    features[:, 0], features[:, 2] = 7.0, np.nan
    model = LogisticModel.fit(features, outcomes, np.ones(4000))
    assert model.weights[0] == model.weights[2] == 0
    assert model.weights[1] < 0


def test_one_outcome_alone_still_gives_a_probability():
    model = LogisticModel.fit(np.arange(6.0)[:, None], np.ones(6), np.ones(6))
    probability = model.probability(np.array([[2.0]]))[0]
    assert 0.9 < probability <= 1

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from testbudget.rewards.confidence.model import LogisticModel


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    features = random.normal(size=(4000, 3)) * [1, 5, 0.1] + [0, 3, 0]
    log_odds = 0.5 + features @ [1.0, -0.3, 4.0]
    outcomes = (random.random(4000) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return features, outcomes


def test_it_finds_what_an_independent_implementation_finds(rows):
    features, outcomes = rows
    ours = LogisticModel.fit(features, outcomes, np.ones(4000)).probability(features)
    theirs = LogisticRegression(C=1e3).fit(features, outcomes).predict_proba(features)[:, 1]
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_an_unknown_feature_counts_as_usual(rows):
    features, outcomes = rows
    model = LogisticModel.fit(features, outcomes, np.ones(4000))
    asked = features[:5].copy()
    asked[:, 1] = np.nan
    known = features[:5].copy()
    known[:, 1] = features[:, 1].mean()
    np.testing.assert_allclose(model.probability(asked), model.probability(known))


def test_a_share_counts_as_so_much_of_either_outcome(rows):
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

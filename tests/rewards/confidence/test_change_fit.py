"""Fit of p_change."""

import numpy as np
import pytest

from testbudget.rewards.confidence.change import CHANGE_FEATURES, default_change_model
from testbudget.rewards.confidence.change_fit import ChangeRows, change_rows, fit_change_model
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.rewards.votes import Votes


def rows_of(features, changes):
    return ChangeRows(features, changes, np.ones(len(changes)))


def drawn(rows, seed=0):
    """Rows whose changes follow the first feature."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, len(CHANGE_FEATURES)))
    p = 1 / (1 + np.exp(1 - 2 * features[:, 0]))
    return features, (rng.random(rows) < p).astype(float)


def test_many_rows_show_what_changes_follow():
    model = fit_change_model([rows_of(*drawn(20_000))], "here").model
    assert model.weights[0] == pytest.approx(2, abs=0.1)
    assert np.abs(model.weights[1:]).max() < 0.1
    assert model.probability(np.zeros(len(CHANGE_FEATURES))) == pytest.approx(1 / (1 + np.e), abs=0.02)


def test_few_rows_leave_the_prior_as_it_is_and_many_do_not():
    prior = default_change_model()
    features, changes = drawn(20_000)
    few = fit_change_model([rows_of(features[:3], changes[:3])], "few", prior)
    many = fit_change_model([rows_of(features, changes)], "many", prior)
    off = [np.abs(one.model.weights - prior.model.weights).max() for one in (few, many)]
    assert off[0] < 0.4 < off[1]


def test_a_feature_that_never_varies_keeps_the_weight_of_the_prior_and_unknown_ones_their_mean():
    prior = default_change_model()
    features, changes = drawn(500)
    features[:, 2], features[::2, 3] = 1.5, np.nan
    model = fit_change_model([rows_of(features, changes)], "here", prior).model
    assert model.weights[2] == prior.model.weights[2]
    assert model.means[3] == pytest.approx(np.nanmean(features[:, 3]))
    assert np.isfinite(model.weights).all()


def test_no_rows_give_the_prior_or_an_error():
    prior, none = default_change_model(), rows_of(np.zeros((0, len(CHANGE_FEATURES))), np.zeros(0))
    assert fit_change_model([none], "nothing", prior).model is prior.model
    with pytest.raises(ValueError, match="needs rows"):
        fit_change_model([none], "nothing")


def test_rows_are_taken_after_chosen_numbers_of_tests_before_the_last():
    votes = Votes.from_matrix(np.random.default_rng(0).random((9, 6)) < 0.5)
    statistics = PrefixStatistics(Evidence(votes), range(10))
    won = Calibrated().winners_by(statistics)
    rows = change_rows(statistics, won, votes.pass_sets())
    assert rows.weights.tolist() == [1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 9]  # after 1, 2, 3, 5 and 8
    assert rows.features.shape == (5, len(CHANGE_FEATURES))
    assert ((rows.changes >= 0) & (rows.changes <= 1)).all()

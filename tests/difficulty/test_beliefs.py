import numpy as np
import pytest

from difficulty.beliefs import HIGHEST, LOWEST, constant, score
from rewards.errors import UserError


def test_the_constant_belief_is_the_share_of_right_samples():
    beliefs = constant(np.array([0.0, 1.0]), np.array([30.0, 10.0]), problems=3)
    np.testing.assert_allclose(beliefs.pass_rate, [0.25] * 3)
    assert beliefs.out_of_fold == 0


@pytest.mark.parametrize(("rate", "bound"), [(0.0, LOWEST), (1.0, HIGHEST)])
def test_the_constant_belief_is_never_certain(rate: float, bound: float):
    assert constant(np.array([rate]), np.array([5.0]), problems=1).pass_rate[0] == bound


def test_scores_of_a_perfect_prediction():
    rates = np.array([0.0, 0.5, 1.0])
    scores = score(rates, rates)
    assert scores.spearman == pytest.approx(1)
    assert scores.brier == pytest.approx(0.25 / 3)


def test_the_brier_score_is_that_of_the_single_samples():
    outcomes = np.array([[1, 0, 0, 1], [1, 1, 1, 0]])
    predicted = np.array([0.3, 0.8])
    expected = np.mean((outcomes - predicted[:, None]) ** 2)
    assert score(predicted, outcomes.mean(axis=1)).brier == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_a_constant_side_ranks_nothing():
    rates = np.array([0.2, 0.4, 0.9])
    assert score(np.full(3, 0.5), rates).spearman == 0
    assert score(rates, np.full(3, 0.5)).spearman == 0


@pytest.mark.parametrize(
    ("rates", "weights", "sentence"),
    [
        ([], [], "got 0 rates and 0 counts"),
        ([0.5], [1, 2], "got 1 rates and 2 counts"),
        ([0.5, 1.5], [1, 1], r"must lie in \[0, 1\] but got 1.5"),
        ([0.5, float("nan")], [1, 1], "but got nan"),
        ([0.5, 0.5], [1, 0], "at least one sample but got 0"),
    ],
)
def test_labels_that_cannot_be_learned_from_are_refused(rates, weights, sentence: str):
    with pytest.raises(UserError, match=sentence):
        constant(np.array(rates, dtype=float), np.array(weights, dtype=float), problems=1)

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from testbudget.difficulty.scores import BINS, score_predictions


def predictions(problems, seed=0, noise=0.3):
    random = np.random.default_rng(seed)
    measured = random.uniform(size=problems).round(1)
    predicted = (measured + noise * random.normal(size=problems)).clip(0, 1).round(2)
    weights = random.integers(1, 20, size=problems).astype(float)
    return predicted, measured, weights, measured > 0.6


def test_scores_equal_those_of_scipy_and_scikit_learn():
    predicted, measured, weights, event = predictions(200)
    scores = score_predictions(predicted, measured, weights, event)
    assert scores.spearman.value == pytest.approx(spearmanr(predicted, measured).statistic)
    assert scores.auroc.value == pytest.approx(roc_auc_score(event, predicted))
    assert scores.brier.value == pytest.approx(np.average((predicted - measured) ** 2, weights=weights))


def test_the_calibration_error_is_that_of_ten_bins_of_equal_mass():
    predicted, measured, _, event = predictions(200)
    predicted = predicted + np.arange(200) * 1e-6  # no ties: bins are unambiguous
    expected = 0.0
    for rows in np.array_split(predicted.argsort(), BINS):
        expected += len(rows) / 200 * abs(predicted[rows].mean() - measured[rows].mean())
    scores = score_predictions(predicted, measured, np.ones(200), event)
    assert scores.calibration_error.value == pytest.approx(expected)


def test_a_problem_of_weight_two_counts_like_two_problems():
    predicted, measured, _, event = predictions(50)
    weights = 1.0 + (np.arange(50) % 3 == 0)
    twice = np.repeat(np.arange(50), weights.astype(int))
    weighted = score_predictions(predicted, measured, weights, event)
    repeated = score_predictions(predicted[twice], measured[twice], np.ones(len(twice)), event[twice])
    assert weighted.brier.value == pytest.approx(repeated.brier.value)
    assert weighted.calibration_error.value == pytest.approx(repeated.calibration_error.value)


def test_the_mean_as_constant_prediction_is_calibrated_without_rank_correlation():
    _, measured, weights, event = predictions(100)
    constant = np.full(100, np.average(measured, weights=weights))
    scores = score_predictions(constant, measured, weights, event)
    assert scores.spearman == score_predictions(constant, measured, weights, event, seed=1).spearman
    assert (scores.spearman.value, scores.spearman.low, scores.spearman.high) == (0, 0, 0)
    assert scores.auroc.value == 0.5
    assert scores.calibration_error.value == pytest.approx(0, abs=1e-12)


def test_a_perfect_prediction_has_perfect_scores():
    _, measured, weights, event = predictions(100)
    scores = score_predictions(measured, measured, weights, event)
    assert scores.spearman.low == pytest.approx(1)
    assert scores.auroc.low == 1
    assert scores.brier.high == scores.calibration_error.high == 0


def test_the_auroc_is_nan_if_all_or_no_problems_have_the_event():
    predicted, measured, weights, _ = predictions(30)
    for event in (np.zeros(30, bool), np.ones(30, bool)):
        auroc = score_predictions(predicted, measured, weights, event).auroc
        assert np.isnan([auroc.value, auroc.low, auroc.high]).all()


def test_the_auroc_of_a_rare_event_has_an_interval():
    predicted, measured, weights, _ = predictions(30)
    auroc = score_predictions(predicted, measured, weights, np.arange(30) == 4).auroc
    assert auroc.low <= auroc.value <= auroc.high


def test_the_interval_depends_on_the_seed_and_the_value_does_not():
    data = predictions(60)
    assert score_predictions(*data) == score_predictions(*data)
    assert score_predictions(*data, seed=1).brier != score_predictions(*data).brier
    assert score_predictions(*data, seed=1).brier.value == score_predictions(*data).brier.value


def test_the_width_of_an_interval_matches_the_variation_over_samples_of_problems():
    samples = [score_predictions(*predictions(80, seed=seed)) for seed in range(20)]
    for name in ("spearman", "auroc", "brier"):
        intervals = [getattr(scores, name) for scores in samples]
        error = np.std([interval.value for interval in intervals])
        width = np.mean([interval.high - interval.low for interval in intervals])
        assert 0.6 < width / (2 * 1.96 * error) < 1.6


def test_resampling_in_parts_gives_the_same_scores(monkeypatch):
    data = predictions(40)
    # Parts of 300, 300, 300 and 100 resamples.
    monkeypatch.setattr("testbudget.rewards.bootstrap._POSITIONS_AT_ONCE", 40 * 300)
    parts = score_predictions(*data)
    monkeypatch.undo()
    assert parts == score_predictions(*data)


def test_scores_of_no_problem_are_refused():
    with pytest.raises(ValueError, match="at least 1 problem"):
        score_predictions(np.empty(0), np.empty(0), np.empty(0), np.empty(0, bool))

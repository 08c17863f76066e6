import numpy as np
import pytest
from scipy.special import expit, logit

from testbudget.difficulty.base import MAX_RATE, MIN_RATE
from testbudget.difficulty.calibration import PredictionCalibration


def problems(count, samples, *, concentration=np.inf, seed=0):
    """Log-odds 2 x + 1 for true log-odds x, values measured on ``samples`` samples, and weights."""
    random = np.random.default_rng(seed)
    true_rate = expit(random.normal(size=count))
    rate = (
        true_rate
        if np.isinf(concentration)
        else random.beta(true_rate * concentration, (1 - true_rate) * concentration)
    )
    values = random.binomial(samples, rate) / samples
    return 2 * logit(true_rate) + 1, values, np.full(count, float(samples))


def test_overshooting_log_odds_are_calibrated():
    log_odds, values, weights = problems(4000, 20)
    calibration = PredictionCalibration.fit(log_odds, values, weights)
    assert calibration.slope == pytest.approx(0.5, abs=0.03)
    assert calibration.intercept == pytest.approx(-0.5, abs=0.05)
    assert values.mean() == pytest.approx(calibration.mean(log_odds).mean(), abs=1e-3)


@pytest.mark.parametrize("samples", [2, 10, 200])
def test_the_deviation_of_true_values_does_not_depend_on_the_number_of_samples(samples):
    log_odds, values, weights = problems(20_000, samples, concentration=3)
    calibration = PredictionCalibration.fit(log_odds, values, weights)
    assert calibration.spread == pytest.approx(1 / (1 + 3), abs=0.02)
    predicted = calibration.prediction(np.array([0.5]))
    assert predicted.deviation[0] == pytest.approx(0.25, abs=0.01)


def test_sampling_noise_alone_gives_no_spread():
    assert PredictionCalibration.fit(*problems(4000, 10)).spread < 0.01


def test_the_spread_is_zero_with_one_sample_per_value():
    assert PredictionCalibration.fit(*problems(100, 1)).spread == 0


def test_negatively_correlated_log_odds_are_ignored():
    log_odds, values, weights = problems(200, 20)
    calibration = PredictionCalibration.fit(-log_odds, values, weights)
    np.testing.assert_allclose(calibration.mean(log_odds), values.mean())


@pytest.mark.parametrize(("value", "bound"), [(0.0, MIN_RATE), (1.0, MAX_RATE)])
def test_equal_values_give_a_mean_at_the_bound(value, bound):
    calibration = PredictionCalibration.fit(np.arange(5.0), np.full(5, value), np.full(5, 10.0))
    np.testing.assert_allclose(calibration.mean(np.array([-9.0, 9.0])), bound)


def test_a_calibration_is_restored_from_its_array():
    calibration = PredictionCalibration.fit(*problems(50, 20))
    assert PredictionCalibration.from_array(calibration.to_array()).slope == pytest.approx(
        calibration.slope, rel=1e-6
    )
    assert PredictionCalibration.from_array(calibration.to_array()).spread == pytest.approx(
        calibration.spread, rel=1e-6
    )

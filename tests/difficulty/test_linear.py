import numpy as np
import pytest

from testbudget.difficulty.linear import FittedLinear, LinearMethod, Ridge


def test_a_model_survives_its_arrays(synthetic):
    data, new = synthetic(60), synthetic(30, seed=1)
    fitted = LinearMethod().fit(data.inputs, data.values, data.weights, seed=0)
    arrays = fitted.to_arrays()
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    again, before = FittedLinear.from_arrays(arrays).predict(new.inputs), fitted.predict(new.inputs)
    np.testing.assert_allclose(again.mean, before.mean, atol=1e-6)
    np.testing.assert_allclose(again.deviation, before.deviation, atol=1e-6)


@pytest.mark.parametrize("samples", [4, 200])
def test_beliefs_are_calibrated_whether_few_or_many_samples_stand_behind_the_labels(synthetic, samples):
    data, new = (synthetic(800, samples=samples, seed=seed) for seed in (7, 8))
    belief = LinearMethod().fit(data.inputs, data.values, data.weights, seed=0).predict(new.inputs)
    slope = np.cov(belief.mean, new.values)[0, 1] / belief.mean.var(ddof=1)
    assert belief.mean.mean() == pytest.approx(new.values.mean(), abs=0.03)
    assert 0.9 < slope < 1.1


def test_the_penalty_grows_where_there_is_nothing_to_learn():
    random = np.random.default_rng(0)
    features, noise = random.normal(size=(2, 100, 10))
    weights = np.full(100, 20.0)
    signal = random.binomial(20, 1 / (1 + np.exp(-features[:, 0]))) / 20
    learned = Ridge.fit(features, signal, weights)
    nothing = Ridge.fit(noise, signal, weights)
    assert learned.coefficients[0] > 0.8
    assert np.abs(nothing.coefficients).max() < 0.4
    assert learned.calibration.spread < nothing.calibration.spread

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from testbudget.difficulty.base import PredictorInputs
from testbudget.difficulty.linear import FittedLinear, LinearMethod, Reduction, Ridge
from testbudget.rewards.errors import UserError


def test_a_fit_restored_from_its_arrays_predicts_the_same(synthetic):
    data, new = synthetic(60), synthetic(30, seed=1)
    fitted = LinearMethod().fit(data.inputs, data.values, data.weights, seed=0)
    arrays = fitted.to_arrays()
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    again, before = FittedLinear.from_arrays(arrays).predict(new.inputs), fitted.predict(new.inputs)
    np.testing.assert_allclose(again.mean, before.mean, atol=1e-6)
    np.testing.assert_allclose(again.deviation, before.deviation, atol=1e-6)


@pytest.mark.parametrize("samples", [4, 200])
def test_predictions_are_calibrated_with_few_and_with_many_samples_per_value(synthetic, samples):
    data, new = (synthetic(800, samples=samples, seed=seed) for seed in (7, 8))
    predicted = LinearMethod().fit(data.inputs, data.values, data.weights, seed=0).predict(new.inputs)
    slope = np.cov(predicted.mean, new.values)[0, 1] / predicted.mean.var(ddof=1)
    assert predicted.mean.mean() == pytest.approx(new.values.mean(), abs=0.03)
    assert 0.9 < slope < 1.1


def test_the_penalty_is_larger_for_features_without_information():
    random = np.random.default_rng(0)
    features, noise = random.normal(size=(2, 100, 10))
    weights = np.full(100, 20.0)
    signal = random.binomial(20, 1 / (1 + np.exp(-features[:, 0]))) / 20
    informative = Ridge.fit(features, signal, weights)
    uninformative = Ridge.fit(noise, signal, weights)
    assert informative.coefficients[0] > 0.8
    assert np.abs(uninformative.coefficients).max() < 0.4
    assert informative.calibration.spread < uninformative.calibration.spread


def states(problems=200, features=30, seed=0):
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(problems, 5)) @ random.normal(size=(5, features))
    return (mixed + 0.1 * random.normal(size=(problems, features)) + 3).astype(np.float32)


def test_components_are_the_principal_ones_of_standardised_states():
    seen, new = states(), PredictorInputs(states(seed=0)[:7] + 0.5)
    reduction = Reduction.fit(seen, 4, seed=0)
    scaler = StandardScaler().fit(seen)
    expected = PCA(4).fit(scaler.transform(seen)).transform(scaler.transform(new.states))
    reduced = reduction.apply(new)
    ratio = np.abs(reduced) / np.abs(expected)
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=0.02)


def test_reduced_states_have_mean_square_one():
    seen = states()
    assert np.mean(Reduction.fit(seen, 3, seed=0).apply(PredictorInputs(seen)) ** 2) == pytest.approx(
        1, rel=1e-3
    )


def test_a_fit_does_not_change_the_global_random_state():
    before = torch.random.get_rng_state()
    first, second = (Reduction.fit(states(), 3, seed=5) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(first.components, second.components)


def test_components_folded_by_coefficients_give_the_weighted_sum():
    seen = PredictorInputs(states())
    reduction = Reduction.fit(seen.states, 3, seed=0)
    coefficients = np.array([1.0, -2.0, 0.5])
    folded = reduction.folded(coefficients).apply(seen)
    np.testing.assert_allclose(folded[:, 0], reduction.apply(seen) @ coefficients, atol=1e-4)


def test_states_of_other_layers_are_refused():
    reduction = Reduction.fit(states(), 3, seed=0)
    with pytest.raises(UserError, match="training had 30 numbers and these have 20"):
        reduction.apply(PredictorInputs(states()[:, :20]))
    with pytest.raises(UserError, match="must have hidden states"):
        Reduction.fit(states()[:, :0], 3, seed=0)

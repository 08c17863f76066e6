"""Properties of every prediction method; those of one method are in its own tests."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from threadpoolctl import threadpool_info

from testbudget.difficulty.base import MAX_RATE, MIN_RATE, PredictionMethod, PredictorInputs
from testbudget.difficulty.baselines import ConstantMethod, NeighboursMethod, TextMethod
from testbudget.difficulty.cross_fitting import cross_fit
from testbudget.difficulty.linear import LinearMethod
from testbudget.difficulty.probe import ProbeMethod
from testbudget.difficulty.scores import score_predictions
from testbudget.rewards.errors import UserError

# The ensemble is smaller than the default, which is faster.
METHODS = [
    ConstantMethod(),
    TextMethod(),
    LinearMethod(),
    NeighboursMethod(),
    ProbeMethod(members=3, steps=300),
]
INFORMATIVE_METHODS = [method for method in METHODS if not isinstance(method, ConstantMethod)]


@pytest.fixture(params=METHODS, ids=lambda method: method.name)
def method(request) -> PredictionMethod:
    return request.param


@pytest.fixture(params=INFORMATIVE_METHODS, ids=lambda method: method.name)
def informative_method(request) -> PredictionMethod:
    return request.param


def test_a_signal_is_found_in_new_problems(informative_method, synthetic):
    data, new = synthetic(300), synthetic(150, seed=1)
    predicted = informative_method.fit(data.inputs, data.values, data.weights, seed=0).predict(new.inputs)
    assert spearmanr(predicted.mean, new.values).statistic > 0.6
    assert ((predicted.mean - new.values) ** 2).mean() < 0.6 * new.values.var()


def test_predictions_of_shuffled_values_are_no_better_than_chance(method, synthetic):
    data = synthetic(400)
    values = np.random.default_rng(5).permutation(data.values)
    fitted = cross_fit(method, data.inputs, values, data.weights, data.content_hashes, folds=4, seed=0)
    predicted = fitted.predict(data.inputs, data.content_hashes)
    scores = score_predictions(predicted.mean, values, data.weights, values > 0.5)
    assert scores.spearman.low < 0.05
    assert scores.spearman.high > -0.05
    assert abs(scores.spearman.value) < 0.17
    assert scores.auroc.value == pytest.approx(0.5, abs=0.1)
    assert scores.brier.value > 0.97 * values.var()


def test_a_prediction_lies_within_bounds_and_has_a_positive_deviation(method, synthetic):
    data = synthetic(60)
    predicted = method.fit(data.inputs, data.values, data.weights, seed=0).predict(data.inputs)
    assert predicted.mean.shape == predicted.deviation.shape == (60,)
    assert np.all((predicted.mean >= MIN_RATE) & (predicted.mean <= MAX_RATE))
    assert np.all((predicted.deviation > 0) & (predicted.deviation < 0.5))


def test_equal_seeds_give_equal_predictions(method, synthetic):
    data = synthetic(60)
    first, second = (method.fit(data.inputs, data.values, data.weights, seed=-3) for _ in range(2))
    np.testing.assert_array_equal(first.predict(data.inputs).mean, second.predict(data.inputs).mean)


def test_a_prediction_does_not_depend_on_the_other_problems(method, synthetic):
    data, new = synthetic(60), synthetic(20, seed=1)
    fitted = method.fit(data.inputs, data.values, data.weights, seed=0)
    together = fitted.predict(new.inputs).mean
    np.testing.assert_allclose(fitted.predict(new.inputs[np.array([7])]).mean, together[7], rtol=1e-4)
    assert len(fitted.predict(new.inputs[:0])) == 0


def test_the_number_of_threads_is_restored_after_a_fit(synthetic):
    data, before = synthetic(20), threadpool_info()
    LinearMethod().fit(data.inputs, data.values, data.weights, seed=0)
    assert threadpool_info() == before


def test_parts_fitted_at_once_predict_like_parts_fitted_alone(method, synthetic):
    data = synthetic(61)
    parts = [np.arange(0, 41), np.arange(20, 61)]
    together = method.fit_each(data.inputs, data.values, data.weights, parts, seed=0)
    for part, fitted in zip(parts, together, strict=True):
        alone = method.fit(data.inputs[part], data.values[part], data.weights[part], seed=0)
        # Networks draw other random numbers when they are trained together.
        tolerance = 0.1 if isinstance(method, ProbeMethod) else 1e-6
        gap = fitted.predict(data.inputs).mean - alone.predict(data.inputs).mean
        assert np.abs(gap).mean() < tolerance


def test_a_part_is_fitted_without_the_other_problems(method, synthetic):
    data = synthetic(60)
    part = np.arange(40)
    before = method.fit_each(data.inputs, data.values, data.weights, [part], seed=0)[0]
    changed = data.values.copy()
    changed[40:] = 1 - changed[40:]
    after = method.fit_each(data.inputs, changed, data.weights, [part], seed=0)[0]
    np.testing.assert_array_equal(before.predict(data.inputs).mean, after.predict(data.inputs).mean)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_values_give_equal_predictions_within_the_bounds(method, synthetic, value):
    data = synthetic(40)
    predicted = method.fit(data.inputs, np.full(40, value), data.weights, seed=0).predict(data.inputs)
    np.testing.assert_allclose(predicted.mean, MIN_RATE if value == 0 else MAX_RATE, atol=0.02)


def test_more_features_than_problems_and_constant_features_can_be_fitted(method, synthetic):
    data = synthetic(20, features=300)
    data.inputs.states[:, 1] = 3
    predicted = method.fit(data.inputs, data.values, data.weights, seed=0).predict(data.inputs)
    assert np.isfinite(predicted.mean).all()


def test_problems_with_more_samples_weigh_more(method, synthetic):
    data = synthetic(60)
    heavy = data.values > np.median(data.values)
    weights = np.where(heavy, 200.0, 2.0)
    means = [
        method.fit(data.inputs, data.values, given, seed=0).predict(data.inputs).mean.mean()
        for given in (weights, 202.0 - weights)
    ]
    assert means[0] > means[1] + 0.1


@pytest.mark.parametrize(
    ("values", "weights", "sentence"),
    [
        ([], [], "got 2 problems, 0 values and 0 counts"),
        ([0.5], [1, 2], "got 2 problems, 1 values and 2 counts"),
        ([0.5, 1.5], [1, 1], r"must lie in \[0, 1\] but got 1.5"),
        ([0.5, float("nan")], [1, 1], "but got nan"),
        ([0.5, 0.5], [1, 0], "positive number of samples but got 0"),
        ([0.5, 0.5], [1, float("inf")], "positive number of samples but got inf"),
    ],
)
def test_values_and_weights_out_of_range_are_refused(values, weights, sentence):
    inputs = PredictorInputs(np.zeros((2, 1), np.float32))
    with pytest.raises(UserError, match=sentence):
        ConstantMethod().fit(inputs, np.array(values, dtype=float), np.array(weights, dtype=float), seed=0)


def test_states_and_texts_are_selected_alike():
    inputs = PredictorInputs(np.arange(6, dtype=np.float32).reshape(3, 2), ("a", "b", "c"))
    for rows in (slice(1, 3), np.array([1, 2]), np.array([False, True, True])):
        chosen = inputs[rows]
        np.testing.assert_array_equal(chosen.states, [[2, 3], [4, 5]])
        assert list(chosen.texts) == ["b", "c"]


@pytest.mark.parametrize(
    ("states", "texts", "sentence"),
    [
        (np.zeros(3), (), r"problems x features but have shape \(3,\)"),
        (np.array([[np.nan]]), (), "must be finite"),
        (np.zeros((2, 1)), ("a",), "got 1 texts and 2 problems"),
    ],
)
def test_invalid_inputs_are_refused(states, texts, sentence):
    with pytest.raises(UserError, match=sentence):
        PredictorInputs(states.astype(np.float32), texts)

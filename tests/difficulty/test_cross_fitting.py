import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr

from testbudget.difficulty.base import FittedMethod, Prediction, PredictionMethod, PredictorInputs
from testbudget.difficulty.baselines import ConstantMethod, NeighboursMethod
from testbudget.difficulty.cross_fitting import (
    UNSEEN,
    CrossFittedEnsemble,
    cross_fit,
    problem_identities,
    problem_numbers,
    stratified_folds,
)
from testbudget.difficulty.linear import LinearMethod
from testbudget.rewards.errors import UserError


class ConstantFit(FittedMethod):
    """Fit that predicts the same mean and deviation for every problem."""

    def __init__(self, mean: float, deviation: float) -> None:
        self.mean, self.deviation = mean, deviation

    def predict(self, inputs: PredictorInputs) -> Prediction:
        return Prediction(np.full(len(inputs), self.mean), np.full(len(inputs), self.deviation))


class RecordingMethod(PredictionMethod):
    """Method that predicts the mean of the fitted values and records its arguments."""

    name = "recording"

    def __init__(self) -> None:
        self.fits = []

    def _fit(self, inputs, values, weights, seed):
        self.fits.append((inputs.states[:, 0].tolist(), values, weights))
        return ConstantFit(values.mean(), 0.0)


def cross_fitted(data, method=None, **settings):
    return cross_fit(
        method or LinearMethod(),
        data.inputs,
        data.values,
        data.weights,
        data.content_hashes,
        **{"seed": 0, **settings},
    )


def predicted(data, **settings):
    return cross_fitted(data, **settings).predict(data.inputs, data.content_hashes).mean


def copies(data, rows):
    """The same problems in another order, or several times."""
    rows = np.asarray(rows)
    return dataclasses.replace(
        data,
        inputs=data.inputs[rows],
        values=data.values[rows],
        weights=data.weights[rows],
        content_hashes=[data.content_hashes[row] for row in rows],
    )


def test_no_problem_is_predicted_by_a_member_fitted_on_it(synthetic):
    data, method = synthetic(40), RecordingMethod()
    fitted = cross_fitted(data, method, folds=8)
    fold = fitted.folds(data.inputs, data.content_hashes)
    assert sorted(np.bincount(fold)) == [5] * 8
    for row, state in enumerate(data.inputs.states[:, 0].tolist()):
        assert [state in seen for seen, _, _ in method.fits] == [fold[row] != member for member in range(8)]
    expected = [method.fits[member][1].mean() for member in fold]
    np.testing.assert_array_equal(fitted.predict(data.inputs, data.content_hashes).mean, expected)


def test_new_problems_get_the_even_mixture_of_all_members():
    fitted = CrossFittedEnsemble([ConstantFit(0.2, 0.1), ConstantFit(0.6, 0.3)], {"old": 1})
    inputs = PredictorInputs(np.zeros((2, 0), np.float32))
    mixture = fitted.predict(inputs, ["new", "old"])
    np.testing.assert_allclose(mixture.mean, [0.4, 0.6])
    draws = np.random.default_rng(0).normal([[0.2], [0.6]], [[0.1], [0.3]], size=(2, 200_000))
    np.testing.assert_allclose(mixture.deviation, [draws.std(), 0.3], rtol=0.01)
    assert fitted.folds(inputs, ["new", "old"]).tolist() == [UNSEEN, 1]


@pytest.mark.parametrize("relation", ["hash", "states", "text"])
def test_a_memorising_method_gains_nothing_from_duplicates(synthetic, relation):
    data = copies(synthetic(100), [*range(100), *range(100)])
    states = data.inputs.states.copy()
    states[100:] += np.float32(1e-3)
    hashes = [
        f"other {content_hash}" if row >= 100 else content_hash
        for row, content_hash in enumerate(data.content_hashes)
    ]
    texts = [f"{text} copied" if row >= 100 else text for row, text in enumerate(data.inputs.texts)]
    noise = np.random.default_rng(1).permutation(data.values[:100])
    shuffled = dataclasses.replace(data, values=np.concatenate([noise, noise]))

    # Without a common identity, the method predicts a copy by the value of its original.
    unrelated = dataclasses.replace(shuffled, content_hashes=hashes, inputs=PredictorInputs(states, texts))
    memorising = NeighboursMethod(count=1)
    unprotected = (
        cross_fitted(unrelated, memorising).predict(unrelated.inputs, unrelated.content_hashes).mean
    )
    assert spearmanr(unprotected, unrelated.values).statistic > 0.8

    related = dataclasses.replace(
        shuffled,
        content_hashes=data.content_hashes if relation == "hash" else hashes,
        inputs=PredictorInputs(
            data.inputs.states if relation == "states" else states,
            data.inputs.texts if relation == "text" else texts,
        ),
    )
    protected = cross_fitted(related, memorising).predict(related.inputs, related.content_hashes).mean
    assert abs(np.nan_to_num(spearmanr(protected, related.values).statistic)) < 0.2


def test_a_training_problem_is_recognised_by_its_states_under_another_hash(synthetic):
    data = synthetic(60)
    fitted = cross_fitted(data)
    renamed = [f"other {content_hash}" for content_hash in data.content_hashes]
    np.testing.assert_array_equal(
        fitted.predict(PredictorInputs(data.inputs.states), renamed).mean,
        fitted.predict(data.inputs, data.content_hashes).mean,
    )


def test_rows_that_share_identities_through_other_rows_are_one_problem():
    identities = [("a", "s1"), ("b", "s2"), ("c", "s3"), ("b", "s1"), ("d", "s3")]
    assert problem_numbers(identities).tolist() == [0, 0, 1, 0, 1]


def test_problems_without_states_and_texts_are_different_problems():
    identities = problem_identities(PredictorInputs(np.zeros((3, 0), np.float32)), ["a", "b", "a"])
    assert problem_numbers(identities).tolist() == [0, 1, 0]


def test_copies_of_a_problem_count_as_one_problem_with_all_their_samples(synthetic):
    data = synthetic(40)
    data.values *= 0.8
    halves = copies(data, [*range(40), *range(40)])
    halves.weights = halves.weights * np.repeat([0.25, 0.75], 40)
    low, high = 0.4 * data.values, 1.2 * data.values
    halves.values = np.concatenate([low, high])
    once, twice = RecordingMethod(), RecordingMethod()
    cross_fitted(data, once)
    cross_fitted(halves, twice)
    for (states, values, weights), (pooled_states, pooled_values, pooled_weights) in zip(
        once.fits, twice.fits, strict=True
    ):
        assert pooled_states == states
        np.testing.assert_allclose(pooled_values, values)
        np.testing.assert_allclose(pooled_weights, weights)


def test_the_order_of_training_problems_does_not_matter(synthetic):
    data = synthetic(60)
    order = np.random.default_rng(2).permutation(60)
    fitted = cross_fitted(copies(data, order))
    np.testing.assert_array_equal(fitted.predict(data.inputs, data.content_hashes).mean, predicted(data))


def test_predictions_depend_on_the_seed_alone(synthetic):
    data = synthetic(60)
    np.testing.assert_array_equal(predicted(data, seed=3), predicted(data, seed=3))
    assert not np.array_equal(predicted(data, seed=3), predicted(data, seed=4))


def test_folds_are_of_equal_size():
    assert sorted(np.bincount(stratified_folds(np.zeros(23), 5, seed=-1))) == [4, 4, 5, 5, 5]


def test_every_fold_has_problems_of_all_values():
    values = np.random.default_rng(0).permutation(np.repeat([0.0, 1.0], [180, 20]))
    fold = stratified_folds(values, 10, seed=0)
    assert [values[fold == number].sum() for number in range(10)] == [2] * 10


def test_a_constant_method_has_no_rank_correlation(synthetic):
    data = synthetic(300)
    assert abs(spearmanr(predicted(data, method=ConstantMethod()), data.values).statistic) < 0.05


def test_input_that_cannot_be_split_is_a_user_error(synthetic):
    data = synthetic(20)
    with pytest.raises(UserError, match="at least 10 distinct problems to learn from but got 9"):
        cross_fitted(copies(data, [*range(9), 0, 1, 2]))
    with pytest.raises(UserError, match="at least 2 folds but got 1"):
        cross_fitted(data, folds=1)
    with pytest.raises(UserError, match="got 19 hashes and 20 problems"):
        cross_fitted(dataclasses.replace(data, content_hashes=data.content_hashes[1:]))
    with pytest.raises(UserError, match="got 20 problems, 19 values and 20 counts"):
        cross_fitted(dataclasses.replace(data, values=data.values[1:]))
    with pytest.raises(UserError, match="positive number of samples but got 0"):
        cross_fitted(dataclasses.replace(data, weights=data.weights * 0))

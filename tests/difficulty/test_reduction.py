import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from testbudget.difficulty.base import PredictorInputs
from testbudget.difficulty.linear import Reduction
from testbudget.rewards.errors import UserError


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


def test_squares_are_one_on_average():
    seen = states()
    assert np.mean(Reduction.fit(seen, 3, seed=0).apply(PredictorInputs(seen)) ** 2) == pytest.approx(
        1, rel=1e-3
    )


def test_a_fit_leaves_the_random_numbers_of_others_alone():
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

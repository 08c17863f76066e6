import numpy as np
import pytest

from testbudget.difficulty.base import PredictorInputs
from testbudget.difficulty.baselines import ConstantMethod, NeighboursMethod


def test_the_constant_belief_is_the_share_of_right_samples():
    inputs = PredictorInputs(np.zeros((2, 0), np.float32))
    fitted = ConstantMethod().fit(inputs, np.array([0.0, 1.0]), np.array([30.0, 10.0]), seed=0)
    np.testing.assert_allclose(
        fitted.predict(PredictorInputs(np.zeros((3, 0), np.float32))).mean, [0.25] * 3
    )


def test_neighbours_are_found_by_the_direction_of_their_states():
    random = np.random.default_rng(0)
    directions = np.repeat([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], 20, axis=0)
    states = directions * random.uniform(1, 5, size=(60, 1)) + 0.05 * random.normal(size=(60, 2))
    values = np.repeat([0.2, 0.5, 0.8], 20)
    fitted = NeighboursMethod(count=5).fit(
        PredictorInputs(states.astype(np.float32)), values, np.full(60, 50.0), seed=0
    )
    asked = np.array([[9.0, 0.1], [0.1, 9.0], [-9.0, -9.0]], np.float32)
    np.testing.assert_allclose(fitted.predict(PredictorInputs(asked)).mean, [0.2, 0.5, 0.8], atol=0.05)


def test_more_neighbours_than_problems_are_all_of_them():
    inputs = PredictorInputs(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    belief = NeighboursMethod(count=15).fit(inputs, np.array([0.2, 0.4, 0.6, 0.8]), np.full(4, 9.0), seed=0)
    assert belief.predict(inputs).mean == pytest.approx(0.5, abs=0.1)

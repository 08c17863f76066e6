"""Gain models as fitted on finished runs."""

import numpy as np
import pytest

from testbudget.policies.gain_model import DifficultyBins, GainModel


def gain_model_with(weight=0.0, *, accuracy=None, best_budget=None, bins=True) -> GainModel:
    """A gain model at one number of tests, where the mean p_wrong is one half."""
    rising = 1 - 0.5 ** np.arange(14) if accuracy is None else np.array(accuracy)
    return GainModel(
        "majority",
        rising,
        best_budget,
        np.array([1]),
        np.array([0.5]),
        np.array([weight]),
        DifficultyBins(np.array([0.5]), np.stack([rising / 2, rising])) if bins else None,
    )


@pytest.fixture(scope="session")
def gain_model():
    """Maker of gain models."""
    return gain_model_with

"""Gain models as fitted on finished runs."""

import numpy as np
import pytest

from testbudget.policies.gain_model import DifficultyBins, GainModel


def gain_model_with(
    weight=0.0, *, best_budget=None, bins=True, counts=(1,), mean_p_wrong=(0.5,), weights=None
) -> GainModel:
    """A gain model, by default at one number of tests, where the mean p_wrong is one half."""
    rising = 1 - 0.5 ** np.arange(14)
    return GainModel(
        "majority",
        rising,
        best_budget,
        np.array(counts),
        np.array(mean_p_wrong),
        np.array([weight] if weights is None else weights),
        DifficultyBins(np.array([0.5]), np.stack([rising / 2, rising])) if bins else None,
    )


@pytest.fixture(scope="session")
def gain_model():
    """Maker of gain models."""
    return gain_model_with

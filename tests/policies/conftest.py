"""Gain models as fitted on finished runs."""

import numpy as np
import pytest

from testbudget.policies.gain_model import DifficultyBins, GainModel


def gain_model_with(*, bins=True) -> GainModel:
    """A gain model with two difficulty bins, or none."""
    rising = 1 - 0.5 ** np.arange(14)
    return GainModel(
        "majority",
        rising,
        DifficultyBins(np.array([0.5]), np.stack([rising / 2, rising])) if bins else None,
    )


@pytest.fixture(scope="session")
def gain_model():
    """Maker of gain models."""
    return gain_model_with

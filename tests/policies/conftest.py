"""Lessons such as finished runs teach."""

import numpy as np
import pytest

from testbudget.policies.gain_model import DifficultyBins, GainModel


def lesson_with(weight=0.0, *, accuracy=None, most=None, bins=True) -> GainModel:
    """A lesson at one count of tests, where a pick is usually wrong with chance one half."""
    rising = 1 - 0.5 ** np.arange(14) if accuracy is None else np.array(accuracy)
    return GainModel(
        "majority",
        rising,
        most,
        np.array([1]),
        np.array([0.5]),
        np.array([weight]),
        DifficultyBins(np.array([0.5]), np.stack([rising / 2, rising])) if bins else None,
    )


@pytest.fixture(scope="session")
def gain_model():
    """Makes a lesson."""
    return lesson_with

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from testbudget.difficulty.base import PredictorInputs
from testbudget.difficulty.card import DifficultyModel
from testbudget.difficulty.training import TrainingSettings, gather_problems, train_predictor
from testbudget.traces.tables import read_trace


@dataclass
class SyntheticProblems:
    """Training problems. Two features of their states determine their pass rates and texts."""

    inputs: PredictorInputs
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    content_hashes: list[str]


def _synthetic(problems: int, *, features: int = 24, samples: int = 16, seed: int = 0) -> SyntheticProblems:
    random = np.random.default_rng(seed)
    states = random.normal(size=(problems, features)).astype(np.float32)
    log_odds = 2.0 * states[:, 0] + 1.0 * states[:, 3] - 0.5
    values = random.binomial(samples, 1 / (1 + np.exp(-log_odds.astype(float)))) / samples
    topics = np.where(log_odds > 0, "string reverse", "prime graph")
    texts = [
        f"def f{row}(x):\n    '''Solves the {topic} task."
        + "\n    >>> f(1)" * int(max(0, log_odd + 3))
        + "'''\n"
        for row, (topic, log_odd) in enumerate(zip(topics, log_odds, strict=True))
    ]
    content_hashes = [f"{number:08x}" for number in random.permutation(10**6)[:problems]]
    return SyntheticProblems(
        PredictorInputs(states, texts), values, np.full(problems, float(samples)), content_hashes
    )


@pytest.fixture(scope="session")
def synthetic() -> Callable[..., SyntheticProblems]:
    """Maker of synthetic training problems."""
    return _synthetic


@pytest.fixture(scope="session")
def trained_model(learnable) -> DifficultyModel:
    """A linear model of every target, trained on the learnable run."""
    settings = TrainingSettings(method="linear", layers=(2,))
    return train_predictor(gather_problems([learnable.directory], settings, read_trace), settings).model

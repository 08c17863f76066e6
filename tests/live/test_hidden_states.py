"""Hidden states of a real model: TESTBUDGET_LIVE_MODEL names it (a folder or a hub name)."""

import os
from pathlib import Path

import numpy as np
import pytest

from difficulty.hidden_states import TransformersExtractor, default_layers
from rewards.errors import UserError

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        "TESTBUDGET_LIVE_MODEL" not in os.environ, reason="TESTBUDGET_LIVE_MODEL names no model"
    ),
]

PROMPTS = [
    'def add(x, y):\n    """Add two numbers."""\n',
    "x = 1",
    'def longest(words):\n    """Return the longest of the words.\n\n'
    "    The first one if several are equally long, and None if there is no word at all.\n"
    '    >>> longest(["a", "bb", "cc"])\n    "bb"\n    """\n',
    'def is_prime(n):\n    """Return true if n is a prime number, and false otherwise."""\n',
]


@pytest.fixture(scope="module")
def model() -> str:
    return os.environ["TESTBUDGET_LIVE_MODEL"]


@pytest.fixture(scope="module")
def extractor(model: str) -> TransformersExtractor:
    return TransformersExtractor(model, batch_size=len(PROMPTS))


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left.astype(np.float64), right.astype(np.float64)
    return (left * right).sum(-1) / (np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1))


def test_prompts_of_one_padded_batch_have_the_states_of_each_alone(extractor: TransformersExtractor):
    layers = (0, *default_layers(extractor.depth))
    together = extractor.extract(PROMPTS, layers).states
    alone = np.concatenate([extractor.extract([prompt], layers).states for prompt in PROMPTS])
    assert cosines(together, alone).min() >= 0.999


def test_the_amount_of_padding_does_not_change_a_state(extractor: TransformersExtractor):
    layers = default_layers(extractor.depth)
    short = extractor.extract([PROMPTS[0], PROMPTS[1]], layers).states[0]
    long = extractor.extract([PROMPTS[0], PROMPTS[2] * 4], layers).states[0]
    assert cosines(short, long).min() >= 0.999


def test_different_prompts_have_different_states(extractor: TransformersExtractor):
    states = extractor.extract(PROMPTS, [extractor.depth]).states[:, 0]
    assert cosines(states[0], states[2]) < 0.999


def test_an_unknown_layer_is_a_user_error(extractor: TransformersExtractor):
    with pytest.raises(UserError, match=f"but got {extractor.depth + 1}"):
        extractor.extract(PROMPTS, [extractor.depth + 1])


def test_a_missing_model_is_a_user_error(tmp_path: Path):
    with pytest.raises(UserError, match="model must be a hub name or a folder"):
        TransformersExtractor(str(tmp_path / "missing"))

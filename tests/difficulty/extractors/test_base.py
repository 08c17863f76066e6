from collections.abc import Sequence

import numpy as np
import pytest

from testbudget.difficulty.extractors.base import Checkpoint, Extractor
from testbudget.rewards.errors import UserError


class Lengths(Extractor):
    """As many layers as the model has, each holding a number of tokens times a factor."""

    engine = "lengths"

    def __init__(self, model: str, factor: float = 1.0) -> None:
        super().__init__(Checkpoint(model), max_tokens=4096, dtype="float32")
        self._factor = factor

    def _states(self, token_ids: Sequence[list[int]], layers: tuple[int, ...]) -> np.ndarray:
        lengths = np.array([len(ids) for ids in token_ids], dtype=np.float32) * self._factor
        return np.broadcast_to(lengths[:, None, None], (len(token_ids), len(layers), 1))


@pytest.mark.parametrize("layers", [[4], [0, -1], [99]])
def test_a_layer_that_the_model_lacks_is_a_user_error(model, layers):
    with pytest.raises(UserError, match=rf"from 0 \(embeddings\) to 3 .* but got {layers[-1]}"):
        Lengths(model).extract(["x"], layers)


@pytest.mark.parametrize("layers", [[], [2, 2]])
def test_layers_are_asked_for_at_least_one_and_each_once(model, layers):
    with pytest.raises(UserError, match="at least one layer, each once"):
        Lengths(model).extract(["x"], layers)


def test_an_unknown_position_is_a_user_error(model):
    with pytest.raises(UserError, match="must be 'last_prompt' but got 'mean'"):
        Lengths(model).extract(["x"], [1], position="mean")


def test_what_is_beyond_half_precision_saturates_and_what_is_no_number_is_refused(model):
    found = Lengths(model, factor=-1e6).extract(["x", "x y"], [1, 2])
    assert found.states.dtype == np.float16
    assert (found.states == np.finfo(np.float16).min).all()
    with pytest.raises(ArithmeticError, match="not finite"):
        Lengths(model, factor=np.nan).extract(["x"], [1])

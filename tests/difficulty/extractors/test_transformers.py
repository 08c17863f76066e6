import sys
from pathlib import Path

import numpy as np
import pytest

from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import Provenance

PROMPTS = [
    "def x ( y ) : return y + 1",
    "x",
    "for x in range ( 2 ) : y - z * 2 else return 0 if x",
    "if z : return 1",
    "def z ( ) : return x * y",
]
DEPTH, WIDTH = 3, 32


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left.astype(np.float64), right.astype(np.float64)
    return (left * right).sum(-1) / (np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1))


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'testbudget\[transformers\]'"):
        TransformersExtractor("any")


@pytest.mark.parametrize("size", ["batch_size", "max_tokens"])
def test_a_size_below_one_is_a_user_error(size: str):
    with pytest.raises(UserError, match=f"{size} must be at least 1 but got 0"):
        TransformersExtractor("any", **{size: 0})


def test_every_layer_is_that_of_hugging_face_at_the_last_token(model: str):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    extractor = TransformersExtractor(model, dtype="float32", batch_size=1)
    layers = tuple(range(DEPTH + 1))
    found = extractor.extract(PROMPTS, layers)
    assert extractor.depth == DEPTH
    assert found.layers == layers
    assert found.states.dtype == np.float16
    assert found.states.shape == (len(PROMPTS), DEPTH + 1, WIDTH)

    network, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    for prompt, states in zip(PROMPTS, found.states, strict=True):
        with torch.inference_mode():
            hidden = network(
                **tokenizer(prompt, return_tensors="pt"), output_hidden_states=True
            ).hidden_states
        expected = np.stack([layer[0, -1].float().numpy() for layer in hidden])
        np.testing.assert_allclose(states, expected, rtol=2e-3, atol=2e-3)


def test_padding_and_batching_do_not_change_states(model: str):
    extractor = TransformersExtractor(model, dtype="float32", batch_size=1)
    batched = TransformersExtractor(model, dtype="float32", batch_size=8)
    layers = range(DEPTH + 1)
    alone = extractor.extract(PROMPTS, layers).states
    np.testing.assert_allclose(batched.extract(PROMPTS, layers).states, alone, rtol=2e-3, atol=2e-3)
    reverse = batched.extract(PROMPTS[::-1], layers).states[::-1]
    np.testing.assert_allclose(reverse, alone, rtol=2e-3, atol=2e-3)


def test_layers_are_in_the_requested_order(model: str):
    extractor = TransformersExtractor(model)
    states = extractor.extract(PROMPTS, [3, 1])
    assert states.layers == (3, 1)
    np.testing.assert_array_equal(states.states[:, ::-1], extractor.extract(PROMPTS, [1, 3]).states)


def test_states_of_both_precisions_are_similar(model: str):
    # Random weights magnify rounding errors: a trained model keeps well above this bound.
    layers = range(DEPTH + 1)
    full = TransformersExtractor(model, dtype="float32").extract(PROMPTS, layers).states
    half = TransformersExtractor(model, dtype="bfloat16").extract(PROMPTS, layers).states
    assert cosines(full, half).min() > 0.99


def test_long_prompts_keep_their_end_and_are_marked(model: str):
    extractor = TransformersExtractor(model, dtype="float32", max_tokens=4)
    found = extractor.extract(["x y z 0 1 2", "0 1 2", "y x z 0 1 2"], [DEPTH])
    assert found.truncated.tolist() == [True, False, True]
    end = extractor.extract(["z 0 1 2"], [DEPTH])
    assert end.truncated.tolist() == [False]
    np.testing.assert_allclose(found.states[[0, 2]], end.states[[0, 0]], rtol=2e-3, atol=2e-3)


def test_the_context_of_the_model_limits_prompts_too(model: str):
    extractor = TransformersExtractor(model)
    assert extractor.extract(["x " * 64, "x " * 65], [1]).truncated.tolist() == [False, True]


def test_no_prompt_gives_no_state(model: str):
    assert TransformersExtractor(model).extract([], [0, 2]).states.shape == (0, 2, WIDTH)


def test_a_prompt_without_any_token_is_a_user_error(model: str):
    with pytest.raises(UserError, match="but prompt 1 has none"):
        TransformersExtractor(model).extract(["x", ""], [1])


def test_a_missing_device_is_a_user_error(model: str):
    with pytest.raises(UserError, match="device must be one that torch can use here but 'abacus' fails"):
        TransformersExtractor(model, device="abacus")


def test_a_folder_without_a_model_is_a_user_error(tmp_path: Path):
    pytest.importorskip("transformers")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match=r"a hub name or a folder with a config\.json but got"):
            TransformersExtractor(str(path))


def test_a_folder_with_a_broken_model_is_a_user_error(tmp_path: Path):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="must be a causal language model that transformers can load"):
        TransformersExtractor(str(tmp_path))


def test_states_have_the_provenance_of_their_extractor(model: str):
    extractor = TransformersExtractor(model, dtype="float32")
    found = extractor.extract(PROMPTS, [1]).provenance
    assert found == Provenance(model, found.fingerprint, DEPTH, "transformers", "float32")
    assert len(found.fingerprint) == 64
    assert extractor.extract([], [2]).provenance == found

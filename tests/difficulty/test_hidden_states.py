import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from difficulty.hidden_states import Extractor, HiddenStates, TransformersExtractor, default_layers
from rewards.errors import UserError

WORDS = ["def", "return", "if", "else", "for", "in", "range", *"xyz():+-*012"]
PROMPTS = [
    "def x ( y ) : return y + 1",
    "x",
    "for x in range ( 2 ) : y - z * 2 else return 0 if x",
    "if z : return 1",
    "def z ( ) : return x * y",
]
DEPTH, WIDTH = 3, 32


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three layers with random weights, and a tokenizer that knows a few words and no padding."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="x")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="x").save_pretrained(folder)
    config = transformers.Qwen2Config(
        vocab_size=len(WORDS),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=DEPTH,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    transformers.set_seed(0)
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    return str(folder)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left.astype(np.float64), right.astype(np.float64)
    return (left * right).sum(-1) / (np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1))


def test_default_layers_are_half_way_three_quarters_and_final():
    assert default_layers(24) == (12, 18, 24)
    assert default_layers(61) == (30, 45, 61)
    assert default_layers(1) == (0, 1)


class Counting(Extractor):
    """Four layers that hold nothing but the length of the prompt."""

    depth = 4

    def _extract(self, prompts: Sequence[str], layers: tuple[int, ...]) -> HiddenStates:
        lengths = np.array([len(prompt) for prompt in prompts], dtype=np.float16)
        return HiddenStates(layers, np.broadcast_to(lengths[:, None, None], (len(prompts), len(layers), 1)))


@pytest.mark.parametrize("layers", [[5], [0, -1], [99]])
def test_a_layer_that_the_model_lacks_is_a_user_error(layers: list[int]):
    with pytest.raises(UserError, match=rf"from 0 \(embeddings\) to 4 .* but got {layers[-1]}"):
        Counting().extract(["a"], layers)


@pytest.mark.parametrize("layers", [[], [2, 2]])
def test_layers_are_asked_for_at_least_one_and_each_once(layers: list[int]):
    with pytest.raises(UserError, match="at least one layer, each once"):
        Counting().extract(["a"], layers)


def test_an_unknown_position_is_a_user_error():
    with pytest.raises(UserError, match="must be 'last_prompt' but got 'mean'"):
        Counting().extract(["a"], [1], position="mean")


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


def test_padding_and_batching_do_not_change_a_state(model: str):
    extractor = TransformersExtractor(model, dtype="float32", batch_size=1)
    together = TransformersExtractor(model, dtype="float32", batch_size=8)
    layers = range(DEPTH + 1)
    alone = extractor.extract(PROMPTS, layers).states
    np.testing.assert_allclose(together.extract(PROMPTS, layers).states, alone, rtol=2e-3, atol=2e-3)
    reverse = together.extract(PROMPTS[::-1], layers).states[::-1]
    np.testing.assert_allclose(reverse, alone, rtol=2e-3, atol=2e-3)


def test_layers_come_in_the_order_asked_for(model: str):
    extractor = TransformersExtractor(model)
    states = extractor.extract(PROMPTS, [3, 1])
    assert states.layers == (3, 1)
    np.testing.assert_array_equal(states.states[:, ::-1], extractor.extract(PROMPTS, [1, 3]).states)


def test_both_precisions_see_the_same_model(model: str):
    # Random weights magnify rounding errors: a trained model keeps well above this bound.
    layers = range(DEPTH + 1)
    full = TransformersExtractor(model, dtype="float32").extract(PROMPTS, layers).states
    half = TransformersExtractor(model, dtype="bfloat16").extract(PROMPTS, layers).states
    assert cosines(full, half).min() > 0.99


def test_long_prompts_keep_their_end_and_are_counted(model: str):
    extractor = TransformersExtractor(model, dtype="float32", max_tokens=4)
    found = extractor.extract(["x y z 0 1 2", "0 1 2", "y x z 0 1 2"], [DEPTH])
    assert found.truncated == 2
    end = extractor.extract(["z 0 1 2"], [DEPTH])
    assert end.truncated == 0
    np.testing.assert_allclose(found.states[[0, 2]], end.states[[0, 0]], rtol=2e-3, atol=2e-3)


def test_the_model_s_own_context_is_a_limit_too(model: str):
    extractor = TransformersExtractor(model)
    assert extractor.extract(["x " * 64, "x " * 65], [1]).truncated == 1


def test_no_prompt_gives_no_state(model: str):
    assert TransformersExtractor(model).extract([], [0, 2]).states.shape == (0, 2, WIDTH)


def test_a_prompt_without_any_token_is_a_user_error(model: str):
    with pytest.raises(UserError, match="but prompt 1 has none"):
        TransformersExtractor(model).extract(["x", ""], [1])


def test_a_device_that_is_not_there_is_a_user_error(model: str):
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

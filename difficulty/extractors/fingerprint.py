"""Which model it is, told by its files and not by its name: in a moment, however large they are."""

import hashlib
import json
from pathlib import Path

from rewards.errors import UserError

_SAMPLES = 64
_SAMPLE_BYTES = 64 << 10
_NOT_THE_MODEL = ("_name_or_path", "transformers_version")  # who wrote the configuration, and where
_WEIGHTS = (".safetensors", ".bin", ".pt")


def fingerprint(folder: Path) -> str:
    """SHA-256 over a model's configuration, less what tells only who wrote it, and samples of its weights.

    Of every file of weights its name, its size and 64 evenly spaced samples of 64 KiB count (a file of up
    to 4 MiB counts whole). Training changes nearly all weights, so that two models whose samples agree are
    the same but by intent.

    Args:
        folder: with a ``config.json`` and weights; of the formats of weights in it, the first of
            safetensors, bin and pt counts.

    Returns:
        64 hexadecimal digits.

    Raises:
        UserError: there are no weights.
    """
    by_format = (sorted(folder.glob(f"*{suffix}")) for suffix in _WEIGHTS)
    files = next(filter(None, by_format), None)
    if files is None:
        raise UserError(
            f"model must be a folder with weights ({', '.join(_WEIGHTS)}) but {folder} has none"
        )
    config = json.loads((folder / "config.json").read_bytes())
    named = {key: value for key, value in config.items() if key not in _NOT_THE_MODEL}
    digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode())
    for path in files:
        size = path.stat().st_size
        digest.update(f"\0{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _SAMPLES * _SAMPLE_BYTES:
                digest.update(file.read())
                continue
            for sample in range(_SAMPLES):
                file.seek(sample * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()

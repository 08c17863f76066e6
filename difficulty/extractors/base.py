"""Interface of hidden-state extractors, and the model files that they share."""

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError, require_extra
from testbudget.traces.hidden_states import HiddenStates, Provenance

_SAMPLES = 64
_SAMPLE_BYTES = 64 << 10
_IGNORED = ("_name_or_path", "transformers_version")  # keys that do not describe the model
_WEIGHTS = (".safetensors", ".bin", ".pt")


def fingerprint(folder: Path) -> str:
    """SHA-256 over a model's configuration and samples of its weights; independent of the model's name.

    The digest covers the name and size of every weight file and 64 evenly spaced samples of 64 KiB (files
    up to 4 MiB are read whole). Training changes nearly all weights, so different models differ in their
    samples unless the files are forged.

    Args:
        folder: model folder with ``config.json`` and weights. If there are several formats, only the
            first of safetensors, bin and pt is used.

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
    named = {key: value for key, value in config.items() if key not in _IGNORED}
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


class Checkpoint:
    """Configuration and tokenizer of a causal language model. Needs the extra ``transformers``.

    Args:
        model: local folder or hub name.

    Attributes:
        model: name of the model, as given.
        depth: number of transformer layers.
        width: length of a hidden state.
        context: maximum number of input tokens; None if the configuration has none.

    Raises:
        UserError: transformers is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        with require_extra("transformers", "extracting hidden states"):
            from transformers import AutoConfig, AutoTokenizer
        folder = Path(model)
        if (folder.is_absolute() or folder.exists()) and not (folder / "config.json").is_file():
            raise UserError(f"model must be a hub name or a folder with a config.json but got {model!r}")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model, truncation_side="left")
            config = AutoConfig.from_pretrained(model).get_text_config()
        except (OSError, ValueError) as error:
            raise unloadable(model, error) from error
        self.model = model
        self.depth: int = config.num_hidden_layers
        self.width: int = config.hidden_size
        self.context: int | None = getattr(config, "max_position_embeddings", None)

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the model's files; see the function ``fingerprint``."""
        from transformers.utils import cached_file

        return fingerprint(Path(cached_file(self.model, "config.json")).parent)

    def tokenize(
        self, prompts: Sequence[str], max_tokens: int
    ) -> tuple[list[list[int]], NDArray[np.bool_]]:
        """Last ``max_tokens`` token ids of each prompt, and a mask of truncated prompts, bool (prompts,).

        Raises:
            UserError: a prompt has no tokens.
        """
        token_ids: list[list[int]] = [
            self._tokenizer(prompt, verbose=False)["input_ids"] for prompt in prompts
        ]
        truncated = np.asarray([len(ids) > max_tokens for ids in token_ids], dtype=np.bool_)
        for problem in np.flatnonzero(truncated).tolist():
            # Truncated by the tokenizer, which keeps a leading special token.
            token_ids[problem] = self._tokenizer(prompts[problem], truncation=True, max_length=max_tokens)[
                "input_ids"
            ]
        for problem, ids in enumerate(token_ids):
            if not ids:
                raise UserError(f"a prompt must have at least one token but prompt {problem} has none")
        return token_ids, truncated


def unloadable(model: str, error: Exception) -> UserError:
    """Error for a model that transformers cannot load."""
    return UserError(
        f"model must be a causal language model that transformers can load but {model!r} is not: "
        f"{first_line(error)}"
    )


def first_line(error: BaseException) -> str:
    """First line of an error message; the type of the error if it is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Extractor(ABC):
    """Extractor of hidden states from prompts. A subclass sets ``engine`` and supplies ``_states``.

    Args:
        checkpoint: configuration and tokenizer of the model.
        max_tokens: limit of a prompt's length in tokens, at most the context of the model. Longer
            prompts lose their beginning and are marked in ``HiddenStates.truncated``.
        dtype: precision of weights and computation.
    """

    engine: ClassVar[str]

    def __init__(self, checkpoint: Checkpoint, max_tokens: int, dtype: str) -> None:
        self._checkpoint = checkpoint
        self._max_tokens = min(max_tokens, checkpoint.context or max_tokens)
        self._dtype = dtype

    @property
    def depth(self) -> int:
        """Number of transformer layers; also the number of the final layer."""
        return self._checkpoint.depth

    def extract(self, prompts: Sequence[str], layers: Sequence[int]) -> HiddenStates:
        """Extract the hidden states at the last token of prompts, without a chat template.

        Engines are started by the first call that needs them, even without prompts.

        Args:
            prompts: texts of the problems.
            layers: layer numbers, each once, 0 (embeddings) to ``depth`` (final layer after its norm).

        Raises:
            UserError: no layer is given, a layer is unknown or given twice, or a prompt has no tokens.
            ArithmeticError: a hidden state is not finite.
        """
        if not layers or len(set(layers)) < len(layers):
            raise UserError(f"layers must name at least one layer, each once, but got {list(layers)}")
        for layer in layers:
            if not 0 <= layer <= self.depth:
                raise UserError(
                    f"a layer must be a number from 0 (embeddings) to {self.depth} (final, after its norm) "
                    f"but got {layer}"
                )
        token_ids, truncated = self._checkpoint.tokenize(prompts, self._max_tokens)
        states = self._states(token_ids, tuple(layers))
        if not np.isfinite(states).all():
            raise ArithmeticError("the model computed hidden states that are not finite numbers")
        # Some models have single activations beyond the range of float16: they are clipped.
        bounds = np.finfo(np.float16)
        halves = states.clip(bounds.min, bounds.max).astype(np.float16)
        provenance = Provenance(
            self._checkpoint.model, self._checkpoint.fingerprint, self.depth, self.engine, self._dtype
        )
        return HiddenStates(tuple(layers), halves, truncated, provenance)

    def cpu_seconds(self) -> float:
        """CPU-seconds used so far by this process and by those that the engine started."""
        return time.process_time()

    def close(self) -> None:  # noqa: B027 - most engines end with this process
        """Release the resources that the engine holds outside this process."""

    @abstractmethod
    def _states(self, token_ids: Sequence[list[int]], layers: tuple[int, ...]) -> NDArray[np.float32]:
        """States at the last token of each prompt, float32 (prompts, layers, width); the layers exist."""


def check_sizes(**sizes: int) -> None:
    """Check that every size is at least 1.

    Raises:
        UserError: a size is below 1.
    """
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"{name} must be at least 1 but got {size}")

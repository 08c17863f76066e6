"""The one way to ask for hidden states; an engine supplies the numbers."""

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import HiddenStates, Provenance

"""Which model it is, told by its files and not by its name: in a moment, however large they are."""

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


# ~ """What every engine needs to know of a model beside its weights: its shape, its tokens, which one it is."""


class Checkpoint:
    """A causal language model's configuration and tokenizer. Needs the extra ``transformers``.

    Args:
        model: local folder or hub name.

    Attributes:
        model: as given.
        depth: number of transformer layers.
        width: length of a hidden state.
        context: most tokens that the model can read; None if it does not say.

    Raises:
        UserError: transformers is not installed, or the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        try:
            from transformers import AutoConfig, AutoTokenizer
        except ImportError as error:
            raise UserError(
                "hidden states by transformers need the extra 'transformers' "
                f"(pip install 'testbudget[transformers]') but the import failed: {error}"
            ) from error
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
        """Of the model's files, which must be on this machine, as they are once the model was loaded."""
        from transformers.utils import cached_file

        return fingerprint(Path(cached_file(self.model, "config.json")).parent)

    def tokenize(
        self, prompts: Sequence[str], max_tokens: int
    ) -> tuple[list[list[int]], NDArray[np.bool_]]:
        """Token ids of each prompt, at most its last ``max_tokens``, and which prompts had to be cut.

        Raises:
            UserError: a prompt has no token.
        """
        token_ids: list[list[int]] = [
            self._tokenizer(prompt, verbose=False)["input_ids"] for prompt in prompts
        ]
        truncated = np.asarray([len(ids) > max_tokens for ids in token_ids], dtype=np.bool_)
        for problem in np.flatnonzero(truncated).tolist():
            # By the tokenizer rather than by slicing, so that a leading special token stays where it is.
            token_ids[problem] = self._tokenizer(prompts[problem], truncation=True, max_length=max_tokens)[
                "input_ids"
            ]
        for problem, ids in enumerate(token_ids):
            if not ids:
                raise UserError(f"a prompt must have at least one token but prompt {problem} has none")
        return token_ids, truncated


def unloadable(model: str, error: Exception) -> UserError:
    """The sentence for a model that transformers does not load."""
    return UserError(
        f"model must be a causal language model that transformers can load but {model!r} is not: "
        f"{first_line(error)}"
    )


def first_line(error: BaseException) -> str:
    """The gist of another program's error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Extractor(ABC):
    """Turns prompts into hidden states; a subclass names its engine and supplies ``_states``.

    Args:
        checkpoint: of the model.
        max_tokens: longer prompts lose their beginning, and are marked in ``HiddenStates.truncated``; never
            more than the model's own context.
        dtype: precision of weights and computation.
    """

    engine: ClassVar[str]

    def __init__(self, checkpoint: Checkpoint, max_tokens: int, dtype: str) -> None:
        self._checkpoint = checkpoint
        self._max_tokens = min(max_tokens, checkpoint.context or max_tokens)
        self._dtype = dtype

    @property
    def depth(self) -> int:
        """Number of transformer layers, which is also the number of the final layer."""
        return self._checkpoint.depth

    def extract(
        self,
        prompts: Sequence[str],
        layers: Sequence[int],
        position: Literal["last_prompt"] = "last_prompt",
    ) -> HiddenStates:
        """Hidden states of the prompts, read exactly as they stand: no chat template is applied.

        What a call needs is loaded when it is first needed; a call without prompts does no more than that.

        Raises:
            UserError: a layer the model does not have or that is asked for twice, no layer at all, an
                unknown position, or a prompt without any token.
            ArithmeticError: the model computed something that is no finite number.
        """
        if position != "last_prompt":
            raise UserError(f"position must be 'last_prompt' but got {position!r}")
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
        # A few models have single activations beyond the range of float16: they saturate.
        bounds = np.finfo(np.float16)
        halves = states.clip(bounds.min, bounds.max).astype(np.float16)
        provenance = Provenance(
            self._checkpoint.model, self._checkpoint.fingerprint, self.depth, self.engine, self._dtype
        )
        return HiddenStates(tuple(layers), halves, truncated, provenance)

    def cpu_seconds(self) -> float:
        """CPU time that this process, and any that the engine has started, have used so far."""
        return time.process_time()

    def close(self) -> None:  # noqa: B027 - most engines end with their process
        """Frees what the engine holds outside this process."""

    @abstractmethod
    def _states(self, token_ids: Sequence[list[int]], layers: tuple[int, ...]) -> NDArray[np.float32]:
        """States at the last token of each prompt: (prompts, layers, width), layers known to exist."""


def check_sizes(**sizes: int) -> None:
    """Refuses a size below 1.

    Raises:
        UserError: which one it is.
    """
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"{name} must be at least 1 but got {size}")

"""What the model computed while it read a prompt: hidden states and the extractors that collect them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rewards.errors import UserError


@dataclass(frozen=True, slots=True, eq=False)
class HiddenStates:
    """One vector a problem and layer, taken at the last token of the prompt.

    Attributes:
        layers: as numbered in Hugging Face ``hidden_states``: 0 is the output of the embeddings, k that
            of the k-th transformer layer before any further norm, and the last one that of the whole
            stack *after* its final norm.
        states: float16 of shape (problems, layers, width), in the order of the prompts and of ``layers``.
        truncated: how many prompts were longer than the extractor's limit, so that their beginning was
            cut off.
    """

    layers: tuple[int, ...]
    states: NDArray[np.float16]
    truncated: int = 0


def default_layers(depth: int) -> tuple[int, ...]:
    """Half-way, three quarters and final layer of a model with ``depth`` layers.

    Middle layers tell more of a problem's difficulty than the final one, which is busy with the next token.
    """
    return tuple(dict.fromkeys((depth // 2, depth * 3 // 4, depth)))


class Extractor(ABC):
    """Turns prompts into hidden states; a back end supplies the depth of its model and ``_extract``."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """Number of transformer layers, which is also the number of the final layer."""

    def extract(
        self,
        prompts: Sequence[str],
        layers: Sequence[int],
        position: Literal["last_prompt"] = "last_prompt",
    ) -> HiddenStates:
        """Hidden states of the prompts, read exactly as they stand: no chat template is applied.

        Raises:
            UserError: a layer the model does not have or that is asked for twice, no layer at all, an
                unknown position, or a prompt without any token.
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
        return self._extract(prompts, tuple(layers))

    @abstractmethod
    def _extract(self, prompts: Sequence[str], layers: tuple[int, ...]) -> HiddenStates:
        """The same, for layers that are known to exist."""


class TransformersExtractor(Extractor):
    """Any layer of a causal language model, on a CPU or a GPU, by Hugging Face transformers.

    Slower than an inference engine, but it defines what the numbers mean: other extractors are held
    against it. Needs the extra ``transformers``.

    Args:
        model: local folder or hub name.
        device: as torch names it: ``cpu``, ``cuda``, ``cuda:1``, ...
        batch_size: prompts computed at once.
        max_tokens: longer prompts lose their beginning, and are counted in ``HiddenStates.truncated``;
            never more than the model's own context.
        dtype: precision of weights and computation; the result is float16 either way.

    Raises:
        UserError: transformers is not installed, the model cannot be loaded, torch cannot use the
            device, or a size is below 1.
    """

    def __init__(
        self,
        model: str,
        device: str = "cpu",
        batch_size: int = 8,
        max_tokens: int = 4096,
        dtype: Literal["bfloat16", "float32"] = "bfloat16",
    ) -> None:
        for name, size in (("batch_size", batch_size), ("max_tokens", max_tokens)):
            if size < 1:
                raise UserError(f"{name} must be at least 1 but got {size}")
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise UserError(
                "hidden states by transformers need the extra 'transformers' "
                f"(pip install 'testbudget[transformers]') but the import failed: {error}"
            ) from error
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(
                f"device must be one that torch can use here but {device!r} fails: {_first_line(error)}"
            ) from error
        folder = Path(model)
        if (folder.is_absolute() or folder.exists()) and not (folder / "config.json").is_file():
            raise UserError(f"model must be a hub name or a folder with a config.json but got {model!r}")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model, truncation_side="left")
            # Loaded with its head, for which some checkpoints would otherwise warn, then kept without it.
            network = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).base_model
        except (OSError, ValueError) as error:
            raise UserError(
                "model must be a causal language model that transformers can load "
                f"but {model!r} is not: {_first_line(error)}"
            ) from error
        self._network = network.eval().to(device)
        self._device = device
        self._batch_size = batch_size
        config = network.config.get_text_config()
        self._depth: int = config.num_hidden_layers
        self._width: int = config.hidden_size
        self._max_tokens = min(max_tokens, getattr(config, "max_position_embeddings", max_tokens))

    @property
    def depth(self) -> int:
        """Number of transformer layers, which is also the number of the final layer."""
        return self._depth

    def _extract(self, prompts: Sequence[str], layers: tuple[int, ...]) -> HiddenStates:
        token_ids, truncated = self._tokenize(prompts)
        states = np.empty((len(prompts), len(layers), self._width), dtype=np.float16)
        # Neighbours in length waste little padding; longest first, so that a lack of memory shows at once.
        order = sorted(range(len(prompts)), key=lambda problem: -len(token_ids[problem]))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            states[batch] = self._last_states([token_ids[problem] for problem in batch], layers)
        return HiddenStates(layers, states, truncated)

    def _tokenize(self, prompts: Sequence[str]) -> tuple[list[list[int]], int]:
        """Token ids of each prompt, none longer than the limit, and how many had to be cut."""
        token_ids: list[list[int]] = [
            self._tokenizer(prompt, verbose=False)["input_ids"] for prompt in prompts
        ]
        too_long = [problem for problem, ids in enumerate(token_ids) if len(ids) > self._max_tokens]
        for problem in too_long:
            # By the tokenizer rather than by slicing, so that a leading special token stays where it is.
            token_ids[problem] = self._tokenizer(
                prompts[problem], truncation=True, max_length=self._max_tokens
            )["input_ids"]
        for problem, ids in enumerate(token_ids):
            if not ids:
                raise UserError(f"a prompt must have at least one token but prompt {problem} has none")
        return token_ids, len(too_long)

    def _last_states(self, token_ids: list[list[int]], layers: tuple[int, ...]) -> NDArray[np.float16]:
        """States at the last real token of each prompt of one batch."""
        import torch

        lengths = torch.tensor([len(ids) for ids in token_ids], device=self._device)
        # Padded by hand on the right: a causal model then never sees the padding, positions count from
        # the first real token, and the tokenizer needs no padding token.
        padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in token_ids], batch_first=True)
        mask = torch.arange(padded.shape[1], device=self._device) < lengths[:, None]
        with torch.inference_mode():
            hidden = self._network(
                input_ids=padded.to(self._device),
                attention_mask=mask.long(),
                output_hidden_states=True,
                use_cache=False,
            ).hidden_states
        problems = torch.arange(len(token_ids), device=self._device)
        last = torch.stack([hidden[layer][problems, lengths - 1] for layer in layers], dim=1)
        states: NDArray[np.float32] = last.float().cpu().numpy()
        if not np.isfinite(states).all():
            raise ArithmeticError("the model computed hidden states that are not finite numbers")
        # A few models have single activations beyond the range of float16: they saturate.
        bounds = np.finfo(np.float16)
        return states.clip(bounds.min, bounds.max).astype(np.float16)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

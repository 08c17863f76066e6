"""Extraction of hidden states by Hugging Face transformers."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from testbudget.difficulty.extractors.base import Checkpoint, Extractor, check_sizes, first_line, unloadable
from testbudget.rewards.errors import UserError


class TransformersExtractor(Extractor):
    """Extractor of any layer of a causal language model by Hugging Face transformers, on a CPU or a GPU.

    It is slower than an inference engine. It is the reference that other extractors are tested against.
    Needs the extra ``transformers``.

    Args:
        model: local folder or hub name.
        device: torch device: ``cpu``, ``cuda``, ``cuda:1``, ...
        batch_size: prompts computed at once.
        max_tokens: limit of a prompt's length, see ``Extractor``.
        dtype: precision of weights and computation; the result is float16 either way.

    Raises:
        UserError: transformers is not installed, the model cannot be loaded, torch cannot use the
            device, or a size is below 1.
    """

    engine: ClassVar[str] = "transformers"

    def __init__(
        self,
        model: str,
        device: str = "cpu",
        batch_size: int = 8,
        max_tokens: int = 4096,
        dtype: Literal["bfloat16", "float32"] = "bfloat16",
    ) -> None:
        check_sizes(batch_size=batch_size, max_tokens=max_tokens)
        super().__init__(Checkpoint(model), max_tokens, dtype)
        import torch
        from transformers import AutoModelForCausalLM

        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(
                f"device must be one that torch can use here but {device!r} fails: {first_line(error)}"
            ) from error
        try:
            # Loaded with its head, since some checkpoints warn without it; the head is then dropped.
            network = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).base_model
        except (OSError, ValueError) as error:
            raise unloadable(model, error) from error
        self._network = network.eval().to(device)
        self._device = device
        self._batch_size = batch_size

    def _states(self, token_ids: Sequence[list[int]], layers: tuple[int, ...]) -> NDArray[np.float32]:
        states = np.empty((len(token_ids), len(layers), self._checkpoint.width), dtype=np.float32)
        # Sorted by length to save padding; longest first, so that a lack of memory shows at once.
        order = sorted(range(len(token_ids)), key=lambda problem: -len(token_ids[problem]))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            states[batch] = self._last_states([token_ids[problem] for problem in batch], layers)
        return states

    def _last_states(self, token_ids: list[list[int]], layers: tuple[int, ...]) -> NDArray[np.float32]:
        """States at the last token of each prompt of one batch, float32 (prompts, layers, width)."""
        import torch

        lengths = torch.tensor([len(ids) for ids in token_ids], device=self._device)
        # Padded on the right: a causal model does not attend to it, positions count from the first token,
        # and the tokenizer needs no padding token.
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
        return states

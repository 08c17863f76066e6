"""The one way to ask for hidden states; an engine supplies the numbers."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from difficulty.extractors.checkpoint import Checkpoint
from difficulty.hidden_states import HiddenStates, Provenance
from rewards.errors import UserError


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

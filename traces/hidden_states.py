"""Hidden states of prompts with their provenance."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of hidden states. A predictor fitted on one model's states is not applied to another model's.

    Attributes:
        model: folder or hub name of the model, as the user gave it. It does not identify the model.
        fingerprint: hash of the model's files, see ``difficulty.extractors.base``.
        depth: number of transformer layers, which is also the number of the final layer.
        engine: ``transformers`` or ``vllm``.
        dtype: precision of weights and computation; the states are stored as float16.
        final_norm: True if the final layer was taken after the model's final norm.
        position: token at which the states were taken.
        prompt: ``bare`` if the problem's text was read without a chat template.
    """

    model: str
    fingerprint: str
    depth: int
    engine: str
    dtype: str
    final_norm: bool = True
    position: str = "last_prompt"
    prompt: str = "bare"

    def conflict(self, other: "Provenance") -> str | None:
        """Difference that makes other hidden states incomparable, as a sentence; None if there is none.

        Engine and precision may differ: they change the rounding only.
        """
        if self.fingerprint != other.fingerprint:
            return (
                f"those of {self.model} (fingerprint {self.fingerprint[:12]}) are not those of "
                f"{other.model} ({other.fingerprint[:12]})"
            )
        for name in ("depth", "final_norm", "position", "prompt"):
            mine, others = getattr(self, name), getattr(other, name)
            if mine != others:
                return f"{name} {mine} is not {name} {others}"
        return None

    def to_json(self) -> str:
        """Provenance as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Provenance from the text of :meth:`to_json`."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True, eq=False)
class HiddenStates:
    """One vector for each problem and layer, taken at the last token of the prompt.

    Attributes:
        layers: numbers as in Hugging Face ``hidden_states``: 0 is the output of the embeddings, k the
            output of the k-th transformer layer before any further norm, and the last one the output of
            the whole stack after its final norm.
        states: float16 (problems, layers, width), in the order of the prompts and of ``layers``.
        truncated: bool (problems,), True if the prompt exceeded the extractor's limit and its beginning was
            cut off; None if unknown.
        provenance: None if unknown.
    """

    layers: tuple[int, ...]
    states: NDArray[np.float16]
    truncated: NDArray[np.bool_] | None = None
    provenance: Provenance | None = None

    def __len__(self) -> int:
        return len(self.states)

    def of_problems(self, rows: Sequence[int] | NDArray[np.intp]) -> "HiddenStates":
        """Hidden states of some problems, by their rows."""
        chosen = np.asarray(rows, dtype=np.intp)
        truncated = None if self.truncated is None else self.truncated[chosen]
        return HiddenStates(self.layers, self.states[chosen], truncated, self.provenance)

    def of_layers(self, layers: Sequence[int]) -> "HiddenStates":
        """Hidden states of some layers, in the given order.

        Raises:
            UserError: a layer was not extracted.
        """
        if set(layers) - set(self.layers):
            raise UserError(
                f"hidden layers {_joined(layers)} must be there but only {_joined(self.layers)} are"
            )
        columns = [self.layers.index(layer) for layer in layers]
        return HiddenStates(tuple(layers), self.states[:, columns], self.truncated, self.provenance)


def default_layers(depth: int) -> tuple[int, ...]:
    """The layers at one half, three quarters and the end of a model with ``depth`` layers.

    Middle layers predict a problem's difficulty better than the final one, which encodes the next token.
    """
    return tuple(dict.fromkeys((depth // 2, depth * 3 // 4, depth)))


def usual_layer(layers: Sequence[int], depth: int) -> int:
    """The layer nearest to three quarters of a model's depth, which predicts best (docs/difficulty.md).

    Args:
        layers: numbers to choose from, at least one.
        depth: number of the model's final layer.
    """
    return min(layers, key=lambda layer: abs(layer - 0.75 * depth))


def _joined(layers: Sequence[int]) -> str:
    return ", ".join(map(str, layers))

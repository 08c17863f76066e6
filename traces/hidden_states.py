"""What the model computed while it read a prompt: hidden states, and where they came from."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where hidden states came from, so that what was learned on one model's is never applied to another's.

    Attributes:
        model: the model as the user named it: a folder or hub name, which tells people but proves nothing.
        fingerprint: of the model's files, see ``difficulty.extractors.fingerprint``.
        depth: number of transformer layers, which is also the number of the final layer.
        engine: what computed them: ``transformers`` or ``vllm``.
        dtype: precision of weights and computation; the states are float16 either way.
        final_norm: whether the final layer was taken after the model's final norm.
        position: token at which they were taken.
        prompt: ``bare`` if the problem's text was read as it stands, without a chat template.
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
        """Why states from elsewhere mean something else than these, in words; None if they mean the same.

        Engine and precision may differ: they round differently, but compute the same.
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
        """As text, to be stored beside the states."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What ``to_json`` gave."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True, eq=False)
class HiddenStates:
    """One vector a problem and layer, taken at the last token of the prompt.

    Attributes:
        layers: as numbered in Hugging Face ``hidden_states``: 0 is the output of the embeddings, k that
            of the k-th transformer layer before any further norm, and the last one that of the whole
            stack *after* its final norm.
        states: float16 of shape (problems, layers, width), in the order of the prompts and of ``layers``.
        truncated: bool (problems,), whether the prompt was longer than the extractor's limit, so that its
            beginning was cut off; None if nobody noted it.
        provenance: None if nobody noted it.
    """

    layers: tuple[int, ...]
    states: NDArray[np.float16]
    truncated: NDArray[np.bool_] | None = None
    provenance: Provenance | None = None

    def __len__(self) -> int:
        return len(self.states)

    def of_problems(self, rows: Sequence[int] | NDArray[np.intp]) -> "HiddenStates":
        """Those of some problems, in the order asked for."""
        chosen = np.asarray(rows, dtype=np.intp)
        truncated = None if self.truncated is None else self.truncated[chosen]
        return HiddenStates(self.layers, self.states[chosen], truncated, self.provenance)

    def of_layers(self, layers: Sequence[int]) -> "HiddenStates":
        """Those of some layers, in the order asked for.

        Raises:
            UserError: one of them was not extracted.
        """
        if set(layers) - set(self.layers):
            raise UserError(
                f"hidden layers {_joined(layers)} must be there but only {_joined(self.layers)} are"
            )
        columns = [self.layers.index(layer) for layer in layers]
        return HiddenStates(tuple(layers), self.states[:, columns], self.truncated, self.provenance)


def default_layers(depth: int) -> tuple[int, ...]:
    """Half-way, three quarters and final layer of a model with ``depth`` layers.

    Middle layers tell more of a problem's difficulty than the final one, which is busy with the next token.
    """
    return tuple(dict.fromkeys((depth // 2, depth * 3 // 4, depth)))


def usual_layer(layers: Sequence[int], depth: int) -> int:
    """The one nearest to three quarters of a model's depth, which told most (docs/difficulty.md).

    Args:
        layers: to choose from, at least one.
        depth: number of the model's final layer.
    """
    return min(layers, key=lambda layer: abs(layer - 0.75 * depth))


def _joined(layers: Sequence[int]) -> str:
    return ", ".join(map(str, layers))

"""Hidden states in fewer numbers: standardised, then their principal components."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from difficulty.base import Inputs
from rewards.errors import UserError

_OVERSAMPLING = 8  # directions that are looked at beyond those wanted
_ITERATIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """Principal components of standardised hidden states.

    Attributes:
        centre: float32 (features,), mean of each feature.
        components: float32 (components, features): products with a centred state give numbers whose
            squares are 1 on average over components and the problems that were learned from.
    """

    centre: NDArray[np.float32]
    components: NDArray[np.float32]

    @classmethod
    def fit(cls, states: NDArray[np.float32], components: int, seed: int) -> Self:
        """Learns from states of shape (problems, features).

        By randomised subspace iteration (Halko et al. 2009, arXiv 0909.4061, algorithm 4.4). Torch's own
        ``svd_lowrank`` takes four times as long for tables of this shape, and scikit-learn's up to a
        hundred times where other processes keep the cores busy.

        Raises:
            UserError: there is no feature.
        """
        if not states.shape[1]:
            raise UserError("the method must have hidden states to learn from but there are none")
        centre = states.mean(axis=0, dtype=np.float64).astype(np.float32)
        standard = torch.from_numpy(states - centre)
        scale = standard.square().mean(dim=0).sqrt()
        scale[scale == 0] = 1  # a constant feature stays 0
        standard /= scale
        wanted = min(components, *states.shape)
        sketched = min(wanted + _OVERSAMPLING, *states.shape)
        axes = torch.randn(states.shape[1], sketched, generator=torch.Generator().manual_seed(seed))
        for _ in range(_ITERATIONS):
            axes = torch.linalg.qr(standard @ axes).Q
            axes = torch.linalg.qr(standard.T @ axes).Q
        _, values, rotation = torch.linalg.svd(standard @ axes, full_matrices=False)
        axes = axes @ rotation[:wanted].T
        size = values[:wanted].square().mean().div(len(states)).sqrt().clamp_min(1e-12)
        return cls(centre, (axes.T / scale / size).contiguous().numpy())

    def apply(self, inputs: Inputs) -> NDArray[np.float32]:
        """Reduced states, shape (problems, components).

        Raises:
            UserError: the states have another number of features.
        """
        if inputs.states.shape[1] != len(self.centre):
            raise UserError(
                "hidden states must come from the same layers of the same model "
                f"but training had {len(self.centre)} numbers and these have {inputs.states.shape[1]}"
            )
        reduced: NDArray[np.float32] = (
            torch.from_numpy(inputs.states - self.centre) @ torch.from_numpy(self.components).T
        ).numpy()
        return reduced

    def folded(self, coefficients: NDArray[np.float64]) -> Self:
        """One component alone: the sum of all, each times its coefficient."""
        return type(self)(self.centre, (coefficients @ self.components).astype(np.float32)[None])

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it as arrays, for a model file."""
        return {"centre": self.centre, "components": self.components}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """The inverse of ``arrays``; others that are among them do not matter."""
        return cls(arrays["centre"], arrays["components"])

"""The probe: a two-layer network on hidden states, as an ensemble that knows how sure it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from difficulty.base import Fitted, Inputs, Method, Prediction
from difficulty.calibration import Calibration
from difficulty.networks import Networks, Rows, train
from difficulty.reduction import Reduction
from rewards.errors import UserError

_AT_ONCE = 2**14  # problems predicted at once: bounds the memory


@dataclass(frozen=True, slots=True)
class Probe(Method):
    """An ensemble of two-layer networks, with soft-label binary cross-entropy (arXiv 2501.01054).

    The problems are split into as many inner parts as the ensemble has members. Each member stops early by
    the part that it does not learn from, so that every problem is held out from one member: these
    held-out predictions together calibrate all of them. Chosen on 164 HumanEval problems, see
    docs/difficulty.md.

    Attributes:
        members: networks in the ensemble.
        units: hidden units of each.
        components: principal components of the states that they see, at most.
        problems_per_component: and no more than one for so many problems.
        dropout, weight_decay, learning_rate, steps: see ``networks.train``.
    """

    name: ClassVar[str] = "probe"

    members: int = 5
    units: int = 16
    components: int = 64
    problems_per_component: int = 6
    dropout: float = 0.2
    weight_decay: float = 1.0
    learning_rate: float = 1e-2
    steps: int = 800

    def _fit(
        self, inputs: Inputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> Fitted:
        return self._fit_each(inputs, values, weights, [np.arange(len(inputs))], seed)[0]

    def _fit_each(
        self,
        inputs: Inputs,
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        parts: Sequence[NDArray[np.intp]],
        seed: int,
    ) -> list[Fitted]:
        fewest, most = min(map(len, parts)), max(map(len, parts))
        if fewest < 2 * self.members:
            raise UserError(
                f"a probe of {self.members} members needs at least {2 * self.members} problems "
                f"to learn from but got {fewest}"
            )
        components = min(self.components, max(1, most // self.problems_per_component))
        reductions = [Reduction.fit(inputs.states[part], components, seed) for part in parts]
        rows = Rows(
            torch.zeros(len(parts), most, max(len(reduction.components) for reduction in reductions)),
            torch.zeros(len(parts), most),
            torch.zeros(len(parts), self.members, most),
        )
        rng = np.random.default_rng(seed)
        # The member that each problem is held out from; none of those that fill up a short part.
        inner = np.full((len(parts), most), -1)
        for number, (part, reduction) in enumerate(zip(parts, reductions, strict=True)):
            reduced = torch.from_numpy(reduction.apply(inputs[part]))
            rows.features[number, : len(part), : reduced.shape[1]] = reduced
            rows.values[number, : len(part)] = torch.from_numpy(values[part])
            rows.weights[number, :, : len(part)] = torch.from_numpy(weights[part] / weights[part].mean())
            inner[number, : len(part)] = rng.permutation(len(part)) % self.members
        held_out = inner[:, None] == np.arange(self.members)[:, None]
        networks = train(
            rows,
            torch.from_numpy(held_out),
            units=self.units,
            dropout=self.dropout,
            weight_decay=self.weight_decay,
            learning_rate=self.learning_rate,
            steps=self.steps,
            generator=torch.Generator().manual_seed(seed),
        )
        fitted: list[Fitted] = []
        for number, (part, reduction) in enumerate(zip(parts, reductions, strict=True)):
            own = networks[number : number + 1]
            log_odds = _log_odds(own, rows.features[number, : len(part)])
            unseen = log_odds[inner[number, : len(part)], np.arange(len(part))]
            fitted.append(FittedProbe(reduction, own, Calibration.fit(unseen, values[part], weights[part])))
        return fitted


@dataclass(frozen=True, slots=True, eq=False)
class FittedProbe(Fitted):
    """An ensemble with its calibration."""

    reduction: Reduction
    networks: Networks
    calibration: Calibration

    def predict(self, inputs: Inputs) -> Prediction:
        """See ``Fitted``; the mean of the members' calibrated means."""
        means = [np.empty(0)]
        for start in range(0, len(inputs), _AT_ONCE):
            features = torch.from_numpy(self.reduction.apply(inputs[start : start + _AT_ONCE]))
            means.append(self.calibration.mean(_log_odds(self.networks, features)).mean(axis=0))
        return self.calibration.belief(np.concatenate(means))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it as arrays, for a model file."""
        names = Networks.__dataclass_fields__
        return {
            **self.reduction.arrays(),
            **{name: getattr(self.networks, name).numpy() for name in names},
            "calibration": self.calibration.array(),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """The inverse of ``arrays``, but for what float32 rounds away.

        Raises:
            KeyError: an array is missing.
        """
        networks = Networks(*(torch.tensor(arrays[name]) for name in Networks.__dataclass_fields__))
        return cls(Reduction.of(arrays), networks, Calibration.of(arrays["calibration"]))


def _log_odds(networks: Networks, features: torch.Tensor) -> NDArray[np.float64]:
    """Of all members of one ensemble, shape (members, problems)."""
    with torch.inference_mode():
        log_odds = networks.log_odds(features[None])[0]
    return np.asarray(log_odds.double().numpy())

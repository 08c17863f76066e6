"""The probe: a two-layer network on hidden states, as an ensemble that knows how sure it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from testbudget.difficulty.base import Fitted, Method, Prediction, PredictionCalibration, PredictorInputs
from testbudget.difficulty.linear import Reduction
from testbudget.rewards.errors import UserError

"""Many small two-layer networks, trained side by side as one batched computation."""

_LARGEST_BATCH = 256
_BATCHES = 8  # at least so many steps an epoch, however few the rows
_SMALLEST_BATCH = 16
_PATIENCE = 120  # steps without progress on the held-out rows, but at least a few epochs
_FEW_EPOCHS = 3
_PROGRESS = 1e-4  # of the loss


@dataclass(frozen=True, slots=True, eq=False)
class NetworkEnsemble:
    """Networks with one hidden layer of rectified units and a scalar output, in float32.

    Those of one set learn from the same rows, each in its own way.

    Attributes:
        hidden_weights: (sets, networks, features, units).
        hidden_biases: (sets, networks, units).
        output_weights: (sets, networks, units).
        output_biases: (sets, networks).
    """

    hidden_weights: Tensor
    hidden_biases: Tensor
    output_weights: Tensor
    output_biases: Tensor

    @property
    def parameters(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All four, in the order of the attributes."""
        return self.hidden_weights, self.hidden_biases, self.output_weights, self.output_biases

    def __getitem__(self, sets: slice) -> "NetworkEnsemble":
        """The networks of some sets."""
        return NetworkEnsemble(*(parameter[sets] for parameter in self.parameters))

    def log_odds(self, features: Tensor, drop: Callable[[Tensor], Tensor] = lambda units: units) -> Tensor:
        """Output of every network on all rows of its set.

        Args:
            features: (sets, rows, features).
            drop: what is done to the hidden units.

        Returns:
            Shape (sets, networks, rows).
        """
        # The networks of a set as one wide layer: one product of matrices a set.
        wide = self.hidden_weights.transpose(1, 2).flatten(2)
        units = drop(torch.baddbmm(self.hidden_biases.flatten(1)[:, None], features, wide).relu())
        each = (
            units.reshape(*units.shape[:2], *self.output_weights.shape[1:]) * self.output_weights[:, None]
        )
        return (each.sum(dim=3) + self.output_biases[:, None]).transpose(1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBatch:
    """Examples, in sets of equal size; what is too much in a set has weight 0.

    Attributes:
        features: (sets, rows, features).
        values: (sets, rows), in [0, 1].
        weights: (sets, networks, rows): how much each network of the set learns from them.
    """

    features: Tensor
    values: Tensor
    weights: Tensor

    def take(self, rows: Tensor) -> "TrainingBatch":
        """The given rows, shape (sets, taken)."""
        sets = torch.arange(len(rows))[:, None]
        weights = self.weights.gather(2, rows[:, None].expand(-1, self.weights.shape[1], -1))
        return TrainingBatch(self.features[sets, rows], self.values[sets, rows], weights)

    def losses(self, log_odds: Tensor) -> Tensor:
        """Weighted mean binary cross-entropy with soft labels of each network, shape (sets, networks)."""
        values = self.values[:, None].expand_as(log_odds)
        losses = binary_cross_entropy_with_logits(log_odds, values, reduction="none")
        return (losses * self.weights).sum(dim=2) / self.weights.sum(dim=2).clamp_min(1e-12)


def train_networks(
    rows: TrainingBatch,
    held_out: Tensor,
    *,
    units: int,
    dropout: float,
    weight_decay: float,
    learning_rate: float,
    steps: int,
    generator: torch.Generator,
) -> NetworkEnsemble:
    """Trains networks by AdamW (Loshchilov and Hutter, arXiv 1711.05101) with early stopping.

    Each keeps the parameters of the epoch in which it did best on its held-out rows.

    Args:
        rows: examples, with the weights that they have for each network while they are not held out.
        held_out: bool (sets, networks, rows), what each network must not learn from.
        units: hidden units.
        dropout: chance that a hidden unit is left out of a step.
        weight_decay: of the weights, not of the biases.
        learning_rate: of AdamW.
        steps: no more than so many, but for the rest of the last epoch.
        generator: of all random numbers.
    """
    seen = replace(rows, weights=rows.weights * ~held_out)
    unseen = replace(rows, weights=rows.weights * held_out)
    networks = _initial(seen, units, generator)
    weights, biases = networks.parameters[::2], networks.parameters[1::2]
    for parameter in networks.parameters:
        parameter.requires_grad_()
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}],
        lr=learning_rate,
    )

    def drop(hidden: Tensor) -> Tensor:
        kept = torch.rand(hidden.shape, generator=generator) >= dropout
        return hidden * kept / (1 - dropout)

    batch = min(_LARGEST_BATCH, max(_SMALLEST_BATCH, rows.values.shape[1] // _BATCHES))
    steps_per_epoch = math.ceil(rows.values.shape[1] / batch)
    patience = max(_FEW_EPOCHS, _PATIENCE // steps_per_epoch)
    best = NetworkEnsemble(*(parameter.detach().clone() for parameter in networks.parameters))
    lowest = torch.full(held_out.shape[:2], torch.inf)
    waited = torch.zeros(held_out.shape[:2])
    for _ in range(math.ceil(steps / steps_per_epoch)):
        order = torch.rand(rows.values.shape, generator=generator).argsort(dim=1)
        for taken in map(seen.take, torch.split(order, batch, dim=1)):
            optimizer.zero_grad()
            losses = taken.losses(networks.log_odds(taken.features, drop))
            losses.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            losses = unseen.losses(networks.log_odds(unseen.features))
            better = (losses < lowest - _PROGRESS) & (waited < patience)
            lowest = torch.where(better, losses, lowest)
            waited = torch.where(better, 0, waited + 1)
            for kept, parameter in zip(best.parameters, networks.parameters, strict=True):
                kept[better] = parameter[better]
        if (waited >= patience).all():
            break
    return best


def _initial(rows: TrainingBatch, units: int, generator: torch.Generator) -> NetworkEnsemble:
    """Random weights; outputs start at the mean of the values."""
    shape = (*rows.weights.shape[:2], rows.features.shape[2], units)
    means = (rows.values[:, None] * rows.weights).sum(dim=2) / rows.weights.sum(dim=2)
    return NetworkEnsemble(
        torch.randn(shape, generator=generator) / shape[2] ** 0.5,
        torch.zeros(*shape[:2], units),
        torch.randn(*shape[:2], units, generator=generator) / units**0.5,
        means.clamp(0.01, 0.99).logit(),
    )


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
        dropout, weight_decay, learning_rate, steps: see ``networks.train_networks``.
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
        self, inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> Fitted:
        return self._fit_each(inputs, values, weights, [np.arange(len(inputs))], seed)[0]

    def _fit_each(
        self,
        inputs: PredictorInputs,
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
        rows = TrainingBatch(
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
        networks = train_networks(
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
            fitted.append(
                FittedProbe(reduction, own, PredictionCalibration.fit(unseen, values[part], weights[part]))
            )
        return fitted


@dataclass(frozen=True, slots=True, eq=False)
class FittedProbe(Fitted):
    """An ensemble with its calibration."""

    reduction: Reduction
    networks: NetworkEnsemble
    calibration: PredictionCalibration

    def predict(self, inputs: PredictorInputs) -> Prediction:
        """See ``Fitted``; the mean of the members' calibrated means."""
        means = [np.empty(0)]
        for start in range(0, len(inputs), _AT_ONCE):
            features = torch.from_numpy(self.reduction.apply(inputs[start : start + _AT_ONCE]))
            means.append(self.calibration.mean(_log_odds(self.networks, features)).mean(axis=0))
        return self.calibration.belief(np.concatenate(means))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it as arrays, for a model file."""
        names = NetworkEnsemble.__dataclass_fields__
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
        networks = NetworkEnsemble(
            *(torch.tensor(arrays[name]) for name in NetworkEnsemble.__dataclass_fields__)
        )
        return cls(Reduction.of(arrays), networks, PredictionCalibration.of(arrays["calibration"]))


def _log_odds(networks: NetworkEnsemble, features: torch.Tensor) -> NDArray[np.float64]:
    """Of all members of one ensemble, shape (members, problems)."""
    with torch.inference_mode():
        log_odds = networks.log_odds(features[None])[0]
    return np.asarray(log_odds.double().numpy())

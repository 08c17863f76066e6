"""The probe: a calibrated ensemble of two-layer networks on hidden states."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from testbudget.difficulty.base import (
    FittedMethod,
    Prediction,
    PredictionMethod,
    PredictorInputs,
    StorableFit,
)
from testbudget.difficulty.calibration import PredictionCalibration
from testbudget.difficulty.linear import Reduction
from testbudget.rewards.errors import UserError, require_extra
from testbudget.rewards.seeds import random_folds

with require_extra("train", "the probe"):
    import torch
    from torch import Tensor
    from torch.nn.functional import binary_cross_entropy_with_logits

_AT_ONCE = 2**14  # problems predicted at once: bounds the memory

_LARGEST_BATCH = 256
_BATCHES = 8  # steps per epoch, at least
_SMALLEST_BATCH = 16
_PATIENCE = 120  # steps without progress on the held-out rows before a network stops
_MIN_EPOCHS = 3  # lower bound of that patience, in epochs
_PROGRESS = 1e-4  # least decrease of the loss that counts


@dataclass(frozen=True, slots=True, eq=False)
class NetworkEnsemble:
    """Networks with one hidden layer of rectified linear units and a scalar output, in float32.

    All networks are trained in one batched computation. The networks of a set are trained on the same rows,
    with their own weights of the rows.

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
        """The four tensors in the order of the attributes."""
        return self.hidden_weights, self.hidden_biases, self.output_weights, self.output_biases

    def __getitem__(self, sets: slice) -> "NetworkEnsemble":
        """Networks of the selected sets."""
        return NetworkEnsemble(*(parameter[sets] for parameter in self.parameters))

    def log_odds(self, features: Tensor, drop: Callable[[Tensor], Tensor] = lambda units: units) -> Tensor:
        """Compute the log-odds of every network on all rows of its set.

        Args:
            features: (sets, rows, features).
            drop: function applied to the hidden units (sets, rows, networks * units).

        Returns:
            Log-odds (sets, networks, rows).
        """
        # The networks of a set form one wide layer: one matrix product per set.
        wide = self.hidden_weights.transpose(1, 2).flatten(2)
        units = drop(torch.baddbmm(self.hidden_biases.flatten(1)[:, None], features, wide).relu())
        each = (
            units.reshape(*units.shape[:2], *self.output_weights.shape[1:]) * self.output_weights[:, None]
        )
        return (each.sum(dim=3) + self.output_biases[:, None]).transpose(1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingBatch:
    """Training rows in sets of equal size; padding rows have weight 0.

    Attributes:
        features: (sets, rows, features).
        values: (sets, rows), in [0, 1].
        weights: (sets, networks, rows), weight of each row in the loss of each network.
    """

    features: Tensor
    values: Tensor
    weights: Tensor

    def take(self, rows: Tensor) -> "TrainingBatch":
        """Select rows (sets, selected) by number within each set."""
        sets = torch.arange(len(rows))[:, None]
        weights = self.weights.gather(2, rows[:, None].expand(-1, self.weights.shape[1], -1))
        return TrainingBatch(self.features[sets, rows], self.values[sets, rows], weights)

    def losses(self, log_odds: Tensor) -> Tensor:
        """Weighted mean binary cross-entropy with soft labels, (sets, networks)."""
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
    """Train networks by AdamW (Loshchilov and Hutter, arXiv 1711.05101) with early stopping.

    A network keeps the parameters of the epoch with the least loss on its held-out rows.

    Args:
        rows: features, values and weights.
        held_out: bool (sets, networks, rows), rows that the network is not trained on.
        units: hidden units of each network.
        dropout: probability that a hidden unit is dropped in a step.
        weight_decay: decay of the weights; biases have none.
        learning_rate: learning rate of AdamW.
        steps: maximum number of steps, rounded up to whole epochs.
        generator: source of all random numbers.
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
    patience = max(_MIN_EPOCHS, _PATIENCE // steps_per_epoch)
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
    """Random weights; output biases start at the weighted mean of the values."""
    shape = (*rows.weights.shape[:2], rows.features.shape[2], units)
    means = (rows.values[:, None] * rows.weights).sum(dim=2) / rows.weights.sum(dim=2)
    return NetworkEnsemble(
        torch.randn(shape, generator=generator) / shape[2] ** 0.5,
        torch.zeros(*shape[:2], units),
        torch.randn(*shape[:2], units, generator=generator) / units**0.5,
        means.clamp(0.01, 0.99).logit(),
    )


@dataclass(frozen=True, slots=True)
class ProbeMethod(PredictionMethod):
    """Ensemble of two-layer networks, fitted by soft-label binary cross-entropy (arXiv 2501.01054).

    The problems are split into one inner fold per member. A member holds one fold out for early stopping.
    Every problem is held out from one member, and these held-out predictions calibrate the ensemble. Chosen
    on 164 HumanEval problems, see docs/difficulty.md.

    Attributes:
        members: networks in the ensemble.
        units: hidden units of each network.
        components: maximum number of principal components of the hidden states.
        problems_per_component: least number of problems per principal component.
        dropout, weight_decay, learning_rate, steps: see ``train_networks``.
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
    ) -> FittedMethod:
        return self._fit_each(inputs, values, weights, [np.arange(len(inputs))], seed)[0]

    def _fit_each(
        self,
        inputs: PredictorInputs,
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        parts: Sequence[NDArray[np.intp]],
        seed: int,
    ) -> list[FittedMethod]:
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
        # Member that each problem is held out from; -1 for the padding of a short part.
        inner = np.full((len(parts), most), -1)
        for number, (part, reduction) in enumerate(zip(parts, reductions, strict=True)):
            reduced = torch.from_numpy(reduction.apply(inputs[part]))
            rows.features[number, : len(part), : reduced.shape[1]] = reduced
            rows.values[number, : len(part)] = torch.from_numpy(values[part])
            rows.weights[number, :, : len(part)] = torch.from_numpy(weights[part] / weights[part].mean())
            inner[number, : len(part)] = random_folds(len(part), self.members, rng)
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
        fitted: list[FittedMethod] = []
        for number, (part, reduction) in enumerate(zip(parts, reductions, strict=True)):
            own = networks[number : number + 1]
            log_odds = _log_odds(own, rows.features[number, : len(part)])
            unseen = log_odds[inner[number, : len(part)], np.arange(len(part))]
            fitted.append(
                FittedProbe(reduction, own, PredictionCalibration.fit(unseen, values[part], weights[part]))
            )
        return fitted


@dataclass(frozen=True, slots=True, eq=False)
class FittedProbe(StorableFit):
    """Calibrated network ensemble on reduced hidden states."""

    reduction: Reduction
    networks: NetworkEnsemble
    calibration: PredictionCalibration

    def predict(self, inputs: PredictorInputs) -> Prediction:
        """Mean of the members' calibrated means; see ``FittedMethod``."""
        means = [np.empty(0)]
        for start in range(0, len(inputs), _AT_ONCE):
            features = torch.from_numpy(self.reduction.apply(inputs[start : start + _AT_ONCE]))
            means.append(self.calibration.mean(_log_odds(self.networks, features)).mean(axis=0))
        return self.calibration.prediction(np.concatenate(means))

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Arrays of the fit by name; see ``StorableFit``."""
        names = NetworkEnsemble.__dataclass_fields__
        return {
            **self.reduction.to_arrays(),
            **{name: getattr(self.networks, name).numpy() for name in names},
            "calibration": self.calibration.to_array(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """Fit with the given arrays; see ``StorableFit``."""
        networks = NetworkEnsemble(
            *(torch.tensor(arrays[name]) for name in NetworkEnsemble.__dataclass_fields__)
        )
        return cls(
            Reduction.from_arrays(arrays), networks, PredictionCalibration.from_array(arrays["calibration"])
        )


def _log_odds(networks: NetworkEnsemble, features: torch.Tensor) -> NDArray[np.float64]:
    """Log-odds of the members of one ensemble, float64 (members, problems)."""
    with torch.inference_mode():
        log_odds = networks.log_odds(features[None])[0]
    return np.asarray(log_odds.double().numpy())

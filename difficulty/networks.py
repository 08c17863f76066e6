"""Many small two-layer networks, trained side by side as one batched computation."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

_LARGEST_BATCH = 256
_BATCHES = 8  # at least so many steps an epoch, however few the rows
_SMALLEST_BATCH = 16
_PATIENCE = 120  # steps without progress on the held-out rows, but at least a few epochs
_FEW_EPOCHS = 3
_PROGRESS = 1e-4  # of the loss


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """Networks with one hidden layer of rectified units and a scalar output, in float32.

    Attributes:
        hidden_weights: (networks, features, units).
        hidden_biases: (networks, 1, units).
        output_weights: (networks, units, 1).
        output_biases: (networks, 1, 1).
    """

    hidden_weights: Tensor
    hidden_biases: Tensor
    output_weights: Tensor
    output_biases: Tensor

    def __len__(self) -> int:
        return len(self.hidden_weights)

    @property
    def parameters(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All four, in the order of the attributes."""
        return self.hidden_weights, self.hidden_biases, self.output_weights, self.output_biases

    def __getitem__(self, rows: slice) -> "Networks":
        """Some of the networks."""
        return Networks(*(parameter[rows] for parameter in self.parameters))

    def log_odds(self, features: Tensor, drop: Callable[[Tensor], Tensor] = lambda units: units) -> Tensor:
        """Output of every network on its own rows.

        Args:
            features: (networks, rows, features).
            drop: what is done to the hidden units.

        Returns:
            Shape (networks, rows).
        """
        units = torch.baddbmm(self.hidden_biases, features, self.hidden_weights).relu()
        return torch.baddbmm(self.output_biases, drop(units), self.output_weights).squeeze(2)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Examples, in sets of equal size; what is too much in a set has weight 0.

    Attributes:
        features: (sets, rows, features).
        values: (sets, rows), in [0, 1].
        weights: (sets, rows).
    """

    features: Tensor
    values: Tensor
    weights: Tensor

    def take(self, sets: Tensor, rows: Tensor, mask: Tensor) -> "Rows":
        """For each network the given rows of its set, where the mask is 1.

        Args:
            sets: (networks,).
            rows, mask: (networks, taken).
        """
        column = sets[:, None]
        return Rows(
            self.features[column, rows], self.values[column, rows], self.weights[column, rows] * mask
        )

    def losses(self, log_odds: Tensor) -> Tensor:
        """Weighted mean binary cross-entropy of every set with soft labels, shape (sets,)."""
        losses = binary_cross_entropy_with_logits(log_odds, self.values, reduction="none")
        return (losses * self.weights).sum(dim=1) / self.weights.sum(dim=1).clamp_min(1e-12)


def train(
    rows: Rows,
    sets: Tensor,
    held_out: Tensor,
    *,
    units: int,
    dropout: float,
    weight_decay: float,
    learning_rate: float,
    steps: int,
    generator: torch.Generator,
) -> Networks:
    """Trains networks by AdamW (Loshchilov and Hutter, arXiv 1711.05101) with early stopping.

    Each keeps the parameters of the epoch in which it did best on its held-out rows.

    Args:
        rows: examples.
        sets: (networks,), the set of rows that each network learns from.
        held_out: bool (networks, rows), the rows that it must not learn from.
        units: hidden units.
        dropout: chance that a hidden unit is left out of a step.
        weight_decay: of the weights, not of the biases.
        learning_rate: of AdamW.
        steps: no more than so many, but for the rest of the last epoch.
        generator: of all random numbers.
    """
    networks = _initial(rows, sets, units, generator)
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

    present = rows.weights[sets] > 0
    seen, seen_mask = _chosen(present & ~held_out)
    unseen = rows.take(sets, *_chosen(present & held_out))
    batch = min(_LARGEST_BATCH, max(_SMALLEST_BATCH, seen.shape[1] // _BATCHES))
    steps_per_epoch = math.ceil(seen.shape[1] / batch)
    patience = max(_FEW_EPOCHS, _PATIENCE // steps_per_epoch)
    best = Networks(*(parameter.detach().clone() for parameter in networks.parameters))
    lowest = torch.full((len(sets),), torch.inf)
    waited = torch.zeros(len(sets))
    for _ in range(math.ceil(steps / steps_per_epoch)):
        order = torch.rand(seen.shape, generator=generator).argsort(dim=1)
        for columns in torch.split(order, batch, dim=1):
            taken = rows.take(sets, seen.gather(1, columns), seen_mask.gather(1, columns))
            optimizer.zero_grad()
            taken.losses(networks.log_odds(taken.features, drop)).sum().backward()  # type: ignore[no-untyped-call]
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


def _initial(rows: Rows, sets: Tensor, units: int, generator: torch.Generator) -> Networks:
    """Random weights; outputs start at the mean of the values."""
    count, features = len(sets), rows.features.shape[2]
    means = (rows.values * rows.weights).sum(dim=1) / rows.weights.sum(dim=1)
    return Networks(
        torch.randn(count, features, units, generator=generator) / features**0.5,
        torch.zeros(count, 1, units),
        torch.randn(count, units, 1, generator=generator) / units**0.5,
        means.clamp(0.01, 0.99).logit()[sets][:, None, None],
    )


def _chosen(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Columns where each row of the mask is true, and 1 where they are; the rest of a short row has 0."""
    most = int(mask.sum(dim=1).max())
    columns = (~mask).int().argsort(dim=1, stable=True)[:, :most]
    return columns, mask.gather(1, columns).float()

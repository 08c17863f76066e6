"""Many small two-layer networks, trained side by side as one batched computation."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

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

    def __getitem__(self, sets: slice) -> "Networks":
        """The networks of some sets."""
        return Networks(*(parameter[sets] for parameter in self.parameters))

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
class Rows:
    """Examples, in sets of equal size; what is too much in a set has weight 0.

    Attributes:
        features: (sets, rows, features).
        values: (sets, rows), in [0, 1].
        weights: (sets, networks, rows): how much each network of the set learns from them.
    """

    features: Tensor
    values: Tensor
    weights: Tensor

    def take(self, rows: Tensor) -> "Rows":
        """The given rows, shape (sets, taken)."""
        sets = torch.arange(len(rows))[:, None]
        weights = self.weights.gather(2, rows[:, None].expand(-1, self.weights.shape[1], -1))
        return Rows(self.features[sets, rows], self.values[sets, rows], weights)

    def losses(self, log_odds: Tensor) -> Tensor:
        """Weighted mean binary cross-entropy with soft labels of each network, shape (sets, networks)."""
        values = self.values[:, None].expand_as(log_odds)
        losses = binary_cross_entropy_with_logits(log_odds, values, reduction="none")
        return (losses * self.weights).sum(dim=2) / self.weights.sum(dim=2).clamp_min(1e-12)


def train(
    rows: Rows,
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
    best = Networks(*(parameter.detach().clone() for parameter in networks.parameters))
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


def _initial(rows: Rows, units: int, generator: torch.Generator) -> Networks:
    """Random weights; outputs start at the mean of the values."""
    shape = (*rows.weights.shape[:2], rows.features.shape[2], units)
    means = (rows.values[:, None] * rows.weights).sum(dim=2) / rows.weights.sum(dim=2)
    return Networks(
        torch.randn(shape, generator=generator) / shape[2] ** 0.5,
        torch.zeros(*shape[:2], units),
        torch.randn(*shape[:2], units, generator=generator) / units**0.5,
        means.clamp(0.01, 0.99).logit(),
    )

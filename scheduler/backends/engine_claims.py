"""Claims of engines on a Ray cluster: one placement group each, made before any runner starts.

A claim outlives its engine, and its node: Ray places it again as soon as another node has room. Engines
therefore start one by one, each when its own claim is placed.
"""

import contextlib
import itertools
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from testbudget.scheduler.backends.placement import ClaimedRoom
from testbudget.scheduler.core.events import WorkerKind


@dataclass(frozen=True, slots=True)
class EngineShape:
    """Engines that a job asks for.

    Attributes:
        count: number of engines.
        cpus, gpus: cores and GPUs of each.
    """

    count: int
    cpus: float
    gpus: float


@dataclass(frozen=True, slots=True)
class ClaimedPlace:
    """Place of one engine."""

    kind: WorkerKind
    number: int


class EngineClaims:
    """Placement groups of all engines of a run."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._groups: dict[ClaimedPlace, tuple[PlacementGroup, EngineShape]] = {}

    def make(self, kind: WorkerKind, shape: EngineShape, count: int) -> None:
        """Claim room for so many engines of a kind in all, without waiting for it."""
        for _ in range(count - sum(place.kind is kind for place in self._groups)):
            bundle = {name: amount for name, amount in (("CPU", shape.cpus), ("GPU", shape.gpus)) if amount}
            place = ClaimedPlace(kind, next(self._numbers))
            name = f"testbudget {kind.name.lower()} {place.number}"
            self._groups[place] = placement_group([bundle], strategy="STRICT_PACK", name=name), shape

    def drop(self, kind: WorkerKind, place: Hashable | None = None) -> None:
        """Give up one claim, or all of a kind."""
        for claimed in list(self._groups):
            if claimed.kind is kind and place in (None, claimed):
                group, _ = self._groups.pop(claimed)
                with contextlib.suppress(Exception):  # the cluster may have ended
                    remove_placement_group(group)

    def placed(self) -> dict[ClaimedPlace, ClaimedRoom]:
        """All claims, with the nodes that they are on."""
        if not self._groups:
            return {}
        table: dict[str, Any] = placement_group_table()
        found = {}
        for place, (group, shape) in self._groups.items():
            state = table.get(group.id.hex(), {})
            nodes = state.get("bundles_to_node_id", {}) if state.get("state") == "CREATED" else {}
            found[place] = ClaimedRoom(shape.cpus, shape.gpus, next(iter(nodes.values()), None))
        return found

    def strategy(self, place: ClaimedPlace) -> PlacementGroupSchedulingStrategy:
        """Scheduling strategy of the engine at a place."""
        group, _ = self._groups[place]
        return PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=0)

"""Places of runners on a cluster, and sentences on what is waited for: functions of nodes and claims."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node that lives.

    Attributes:
        id: Ray's id of the node.
        name: name of its host.
        cpus, gpus: cores and GPUs that it offers in all.
        labels: its labels.
        leaves_in: seconds until it is taken away; None if it stays.
    """

    id: str
    name: str
    cpus: float
    gpus: float
    labels: Mapping[str, str] = field(default_factory=dict)
    leaves_in: float | None = None


@dataclass(frozen=True, slots=True)
class ClaimedRoom:
    """Room for one engine.

    Attributes:
        cpus, gpus: cores and GPUs that it takes.
        node: id of the node that it is on; None while it waits.
    """

    cpus: float
    gpus: float
    node: str | None = None


def runner_slots(
    nodes: Sequence[ClusterNode],
    claims: Sequence[ClaimedRoom],
    label: str | None,
    reserved_cores: int,
) -> dict[str, int]:
    """Runners that each node has room for: one for each core that no engine takes, or waits for.

    Runners go to the nodes with the label. Without one they go to the nodes without GPUs, and to those with
    GPUs as long as no other node offers a core.

    Args:
        nodes: the nodes that live.
        claims: room of engines, also what still waits for a node.
        label: label ``KEY=VALUE`` of the nodes for runners.
        reserved_cores: cores that stay free on a node with GPUs, beside the engines', if one is left for a
            runner.

    Returns:
        Number of runners by id of each node that takes any work of runners, 0 where there is no room.
    """
    staying = [node for node in nodes if node.leaves_in is None and node.cpus >= 1]
    cpus, gpus = free_of_claims(staying, claims)
    for claim in claims:
        if claim.node is None and (node := _roomiest(claim, cpus, gpus)) is not None:
            cpus[node] -= claim.cpus
            gpus[node] -= claim.gpus
    if label is not None:
        key, _, value = label.partition("=")
        chosen = [node for node in staying if node.labels.get(key) == value]
    else:
        chosen = [node for node in staying if not node.gpus]
        chosen = chosen or staying
    free = {node.id: max(0, math.floor(cpus[node.id])) for node in chosen}
    reserved = {node.id: reserved_cores if node.gpus else 0 for node in chosen}
    return {node: max(cores - reserved[node], min(cores, 1)) for node, cores in free.items()}


def free_of_claims(
    nodes: Sequence[ClusterNode], claims: Sequence[ClaimedRoom]
) -> tuple[dict[str, float], dict[str, float]]:
    """Cores and GPUs of each node, by its id, that no claim on it takes."""
    cpus = {node.id: node.cpus for node in nodes}
    gpus = {node.id: node.gpus for node in nodes}
    for claim in claims:
        if claim.node in cpus:
            cpus[claim.node] -= claim.cpus
            gpus[claim.node] -= claim.gpus
    return cpus, gpus


def engines_sentence(
    name: str,
    nodes: Sequence[ClusterNode],
    claims: Sequence[ClaimedRoom],
    others: Sequence[ClaimedRoom] = (),
) -> str:
    """Sentence on the claims that wait for a node; empty if none does.

    Args:
        name: name of the engines.
        nodes: the nodes that live.
        claims: room of engines of one shape.
        others: room of other engines.
    """
    waiting = [claim for claim in claims if claim.node is None]
    if not waiting:
        return ""
    _, gpus = free_of_claims(nodes, [*claims, *others])
    first = waiting[0]
    shape = " and ".join(
        part for part in (_amount(first.gpus, "GPU"), _amount(first.cpus, "CPU core")) if part
    )
    fits = [node for node in nodes if node.gpus >= first.gpus and node.cpus >= first.cpus]
    has = f"the cluster has {sum(gpus.values()):g} GPUs free" if first.gpus else "no node has them free"
    if not first.gpus and not fits:
        has = f"its largest node has {max((node.cpus for node in nodes), default=0):g}"
    elif first.gpus and sum(gpus.values()) >= first.gpus and not fits:
        has += ", and no node has them together"
    each = " each" if len(waiting) > 1 else ""
    return f"waiting for {_amount(len(waiting), name)} of {shape}{each}: {has}"


def runners_sentence(nodes: Sequence[ClusterNode], label: str | None, *, taken: bool) -> str:
    """Sentence on runners that have no place.

    Args:
        nodes: the nodes that live.
        label: label of the nodes for runners.
        taken: True if there are nodes for runners, and engines take their cores.
    """
    if taken:
        return "waiting for a core for sandboxes: engines take all that the nodes for sandboxes have"
    what = f"has the label {label}" if label else "offers a core"
    return f"waiting for a node for sandboxes: none of {len(nodes)} nodes {what}"


def _roomiest(claim: ClaimedRoom, cpus: Mapping[str, float], gpus: Mapping[str, float]) -> str | None:
    """The node that a waiting claim is expected on; one with most free GPUs, then most free cores."""
    able = [node for node in cpus if cpus[node] >= claim.cpus and gpus[node] >= claim.gpus]
    if not able:
        return None
    if claim.gpus:
        return max(able, key=lambda node: (gpus[node], cpus[node]))
    return max(able, key=lambda node: (-gpus[node], cpus[node]))


def _amount(number: float, name: str) -> str:
    return f"{number:g} {name}{'' if number == 1 else 's'}" if number else ""

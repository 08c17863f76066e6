"""Sandboxes tried on the nodes of a cluster, whatever their cores are busy with."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from testbudget.executors.actors import RunnerActor
from testbudget.executors.execution.limits import TestLimits
from testbudget.rewards.errors import UserError, one_line
from testbudget.scheduler.ray_job import require_listener

_SECONDS = 120.0  # for all nodes together


@dataclass(frozen=True, slots=True)
class NodeSandbox:
    """Sandbox on one node.

    Attributes:
        node: Ray's id of the node.
        name: name of its host.
        layers, missing: isolation layers in force, and those that it refuses.
        error: reason why there is no sandbox; None if there is one.
    """

    node: str
    name: str
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    error: str | None = None


class _Probe:
    """Runner of one sandbox, without a core of its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._runner = make()

    def layers(self, language: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Layers in force, and layers that the node refuses."""
        try:
            found: tuple[tuple[str, ...], tuple[str, ...]] = self._runner.layers(language)
            return found
        finally:
            self._runner.close()


_PROBE = ray.remote(max_restarts=0, max_task_retries=0)(_Probe)


def probe_cluster(address: str, language: str) -> list[NodeSandbox]:
    """Start a sandbox on each node of a cluster that runs, by name of the node.

    Args:
        address: address of the cluster; ``auto`` finds it.
        language: language of the sandboxes.

    Raises:
        UserError: no cluster runs there.
    """
    require_listener(address, "--cluster")
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError) as error:
        raise UserError(f"--cluster must be a running Ray cluster but {address} is not: {error}") from None
    try:
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        found = probe_nodes(functools.partial(RunnerActor, TestLimits(), ()), nodes, language)
    finally:
        ray.shutdown()
    return sorted(found, key=lambda one: (one.name, one.node))


def probe_nodes(make: Callable[[], Any], nodes: Sequence[str], language: str) -> list[NodeSandbox]:
    """Start a sandbox on each node, and end it.

    Args:
        make: makes a ``RunnerActor``.
        nodes: Ray's ids of nodes that live.
        language: language of the sandboxes.
    """
    names = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes()}
    actors = [
        _PROBE.options(
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(make)
        for node in nodes
    ]
    calls = [actor.layers.remote(language) for actor in actors]
    ray.wait(calls, num_returns=len(calls), timeout=_SECONDS)
    found = []
    for node, call in zip(nodes, calls, strict=True):
        name = names.get(node, node)
        try:
            layers, missing = ray.get(call, timeout=0)
            found.append(NodeSandbox(node, name, layers, missing))
        except RayError as error:
            reason = getattr(error, "cause", None) or error
            found.append(NodeSandbox(node, name, error=one_line(reason)))
    for actor in actors:
        with contextlib.suppress(Exception):  # its node may be gone
            ray.kill(actor)
    return found

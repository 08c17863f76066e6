"""Nodes of a Ray cluster as they are now: which live, which are drained, which have stopped answering.

Ray tells the loss of a node about 15 seconds late. A node whose raylet was killed refuses connections at
once, so its port is tried every second.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Collection

import ray
from ray._private.state import state as ray_state  # no public call tells which nodes are drained

from testbudget.rewards.errors import InfrastructureError
from testbudget.scheduler.backends.placement import ClusterNode

_LOG = logging.getLogger(__name__)
_REVIEW_SECONDS = 0.5
_PROBE_SECONDS = 1.0
_CONNECT_SECONDS = 0.3
_REFUSALS = 2  # of connections in a row: the node is gone
_HEAD_SECONDS = 40.0  # Ray ends a process that has not reached the head for 60 s

_Address = tuple[str, int]


class NodeWatch:
    """The nodes of the cluster that this process is connected to. To be closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of the two attributes below
        self._addresses: dict[str, _Address] = {}
        self._refusals: dict[str, int] = {}
        self._gone: set[str] = set()  # never come back: a node that joins again has another id
        self._nodes: tuple[ClusterNode, ...] = ()
        self._next_review = 0.0
        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        self._head: _Address = (host.strip("[]"), int(port))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._probe_all, daemon=True)
        self._thread.start()

    def nodes(self) -> tuple[ClusterNode, ...]:
        """The nodes that live, reviewed at most twice a second.

        Raises:
            InfrastructureError: the head of the cluster has refused connections for long.
        """
        if (now := time.monotonic()) < self._next_review:
            return self._nodes
        self._wait_for_head()
        self._next_review = now + _REVIEW_SECONDS
        draining = _draining_nodes()
        found = []
        addresses: dict[str, _Address] = {}
        for node in ray.nodes():
            identity = node["NodeID"]
            if not node["Alive"] or identity in self._gone:
                continue
            address = (node["NodeManagerAddress"], node["NodeManagerPort"])
            if self._refusals.get(identity, 0) >= _REFUSALS:
                self._gone.add(identity)
                _LOG.warning("node %s is lost: it refuses connections", node["NodeManagerHostname"])
                continue
            addresses[identity] = address
            resources = node["Resources"]
            leaves_in = draining.get(identity)
            found.append(
                ClusterNode(
                    identity,
                    node["NodeManagerHostname"],
                    resources.get("CPU", 0.0),
                    resources.get("GPU", 0.0),
                    node.get("Labels") or {},
                    leaves_in,
                )
            )
        with self._lock:
            self._addresses = addresses
            self._refusals = {node: count for node, count in self._refusals.items() if node in addresses}
        self._nodes = tuple(found)
        return self._nodes

    def answers(self, node: str) -> bool:
        """True if a node lives, is not drained, and takes connections now."""
        self._next_review = 0.0
        lives = any(one.id == node and one.leaves_in is None for one in self.nodes())
        return lives and not _refuses(self._addresses[node])

    @property
    def has_head(self) -> bool:
        """True if the head takes connections now. If it is gone, most of Ray's calls block for a minute."""
        return not _refuses(self._head)

    def _wait_for_head(self) -> None:
        deadline = time.monotonic() + _HEAD_SECONDS
        while not self.has_head:
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    "the cluster's head is lost: it refuses connections. Name another cluster with "
                    "--cluster.address HOST:PORT"
                )
            time.sleep(_PROBE_SECONDS)

    def close(self) -> None:
        """End the probing thread."""
        self._closed.set()
        self._thread.join()

    def _probe_all(self) -> None:
        while not self._closed.wait(_PROBE_SECONDS):
            with self._lock:
                addresses = dict(self._addresses)
            for node, address in addresses.items():
                refuses = _refuses(address)
                with self._lock:
                    self._refusals[node] = self._refusals.get(node, 0) + 1 if refuses else 0


def _refuses(address: _Address) -> bool:
    """True if nothing listens at an address. A slow node refuses nothing."""
    try:
        socket.create_connection(address, timeout=_CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _draining_nodes() -> dict[str, float]:
    """Seconds until each drained node ends; infinite if its end is not known."""
    with contextlib.suppress(Exception):  # the call is private to Ray, and may go
        now = time.time()
        return {
            node: deadline / 1000 - now if deadline else float("inf")
            for node, deadline in ray_state.get_draining_nodes().items()
        }
    return {}


def node_names(nodes: Collection[ClusterNode]) -> str:
    """Names of nodes in a sentence."""
    return ", ".join(sorted({node.name for node in nodes}))

"""Requests to Ray's autoscaler for the cores that runners need.

Engines need no request: their pending placement groups are demand that the autoscaler sees. Runners are
tied to nodes, which is invisible to it. A request is a floor for what the cluster offers in all, there is
one for the whole cluster, and it outlives its driver. So each run on the cluster keeps what it wants among
the cluster's keys, and asks for the sum of what all of them want. It renews its key while it works and
removes it at the end. A key that is not renewed belongs to a driver that was killed, and counts no more.
Without an autoscaler a request does nothing.
"""

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from ray.autoscaler.sdk import request_resources
from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_list,
    _internal_kv_put,
)

_SPACE, _PREFIX = "testbudget", "cores/"
_RENEW_SECONDS = 30.0
_STALE_SECONDS = 100.0  # without a renewal
_MOST_CORES = 100_000


@dataclass(frozen=True, slots=True)
class CoreDemand:
    """Cores that a run wants.

    Attributes:
        cores: cores for runners, those that it has included.
        label: label of their nodes, ``NAME=VALUE``; None for any.
        unused: cores of the cluster that runners do not use. They are part of the floor.
        renewals: renewals so far.
    """

    cores: int = 0
    label: str | None = None
    unused: int = 0
    renewals: int = 0


class CoreRequests:
    """The request of this process for cores.

    Args:
        clock: current time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = f"{_PREFIX}{secrets.token_hex(8)}"
        self._own = CoreDemand()
        self._next = 0.0
        self._seen: dict[str, tuple[CoreDemand, float]] = {}  # of other runs, and since when it is so

    def ask(self, cores: int, label: str | None, unused: int = 0) -> None:
        """Ask for a cluster that offers so many cores to this run's runners.

        Args:
            cores: cores for runners, at most ``_MOST_CORES``; 0 takes the request back.
            label: label of their nodes; None for any.
            unused: cores of the cluster that runners do not use.
        """
        own, cores = self._own, min(cores, _MOST_CORES)
        if not (cores or own.cores):
            return
        if (cores, label, unused) == (own.cores, own.label, own.unused) and self._clock() < self._next:
            return
        self._own = CoreDemand(cores, label, unused, own.renewals + 1)
        self._next = self._clock() + _RENEW_SECONDS
        with contextlib.suppress(Exception):  # the cluster may have ended, or know no labels
            if cores:
                content = json.dumps([cores, label, unused, self._own.renewals])
                _internal_kv_put(self._key, content, namespace=_SPACE)
            else:
                _internal_kv_del(self._key, namespace=_SPACE)
            _request([*self._others(), self._own])

    def end(self) -> None:
        """Take the request back; what other runs want stays."""
        self.ask(0, None)

    def _others(self) -> list[CoreDemand]:
        """Demands of other runs. Clocks of different machines are not compared."""
        now, seen = self._clock(), self._seen
        self._seen = {}
        for name in (key.decode() for key in _internal_kv_list(_PREFIX, namespace=_SPACE)):
            content = _internal_kv_get(name, namespace=_SPACE)
            if name == self._key or content is None:
                continue
            demand = CoreDemand(*json.loads(content))
            before = seen.get(name)
            self._seen[name] = before if before is not None and before[0] == demand else (demand, now)
        return [demand for demand, since in self._seen.values() if now - since < _STALE_SECONDS]


def _request(demands: list[CoreDemand]) -> None:
    selectors: list[dict[str, str]] = []
    for demand in demands:
        selector = dict([demand.label.split("=", 1)]) if demand.label else {}
        selectors += [selector] * demand.cores
    if any(demand.cores and not demand.label for demand in demands):
        selectors += [{}] * max(demand.unused for demand in demands)
    bundles = [{"CPU": 1}] * len(selectors)
    request_resources(bundles=bundles, bundle_label_selectors=selectors if any(selectors) else None)

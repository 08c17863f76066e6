"""Requests to Ray's autoscaler for the cores that runners need.

Engines need no request: their pending placement groups are demand that the autoscaler sees. Runners are
tied to nodes, which is invisible to it. The request is one for the whole cluster, a floor for what it
offers in all. It outlives this process, and is taken back at the end. Without an
autoscaler it does nothing.
"""

import contextlib
import time

from ray.autoscaler.sdk import request_resources

_REPEAT_SECONDS = 30.0  # another job may have asked for something else
_MOST_CORES = 100_000


class CoreRequests:
    """The request of this process for cores."""

    def __init__(self) -> None:
        self._asked: tuple[int, str | None] = (0, None)
        self._next = 0.0

    def ask(self, cores: int, label: str | None) -> None:
        """Ask for a cluster that offers so many cores in all, on nodes with a label if one is given."""
        cores = min(cores, _MOST_CORES)
        if (cores, label) == self._asked and (not cores or time.monotonic() < self._next):
            return
        self._asked, self._next = (cores, label), time.monotonic() + _REPEAT_SECONDS
        bundles = [{"CPU": 1}] * cores
        selector = dict([label.split("=", 1)]) if label else None
        with contextlib.suppress(Exception):  # the cluster may have ended, or know no labels
            request_resources(
                bundles=bundles, bundle_label_selectors=[selector] * cores if selector else None
            )

    def end(self) -> None:
        """Take the request back."""
        self.ask(0, None)

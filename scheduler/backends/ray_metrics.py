"""Metrics of a run in Ray's own format, exported by the driver's node for Prometheus.

The driver sums up; workers export nothing, so a lost worker leaves no series behind. Names begin with
``ray_testbudget_`` where they are collected, and every series has the tag ``run``. Without ``ray[default]``
nothing collects them, and setting them does nothing.
"""

from collections.abc import Mapping

from ray.util.metrics import Gauge

from testbudget.traces.live_status import LiveStatus

METRICS = {
    "cap": ("limit of the run", "unit"),
    "spent": ("charged for work that is done", "unit"),
    "lost": ("charged for work that nobody has", "unit"),
    "in_flight": ("reserved for tests that are not told, and leased to workers", "unit"),
    "problems": ("problems that have come so far", "stage"),
    "tasks": ("unfinished tasks", "state"),
    "verdicts": ("verdicts since the driver began", "kind"),
    "workers": ("workers that are ready", "pool"),
    "workers_starting": ("workers that were asked for and are not ready", "pool"),
    "workers_restarted": ("workers started in the place of lost ones", "pool"),
    "busy": ("pieces of work in progress", "pool"),
    "busy_share": ("share of the workers that are busy, at most 1", "pool"),
    "queued": ("pieces of work that wait", "pool"),
    "quarantined": ("calls that were given up because workers died of them", "pool"),
}
"""Gauges by name, without the prefix: what they say, and the tag that tells their series apart."""


class RayMetrics:
    """Gauges of one run; call it with each status.

    Args:
        run: id of the run.
    """

    def __init__(self, run: str) -> None:
        self._gauges = {}
        for name, (description, tag) in METRICS.items():
            gauge = Gauge(f"testbudget_{name}", description, tag_keys=(tag, "run"))
            gauge.set_default_tags({"run": run})
            self._gauges[name] = gauge

    def __call__(self, status: LiveStatus) -> None:
        """Set all gauges by a status."""
        for name, values in metric_values(status).items():
            for tag, value in values.items():
                self._gauges[name].set(value, tags={METRICS[name][1]: tag})


def metric_values(status: LiveStatus) -> dict[str, Mapping[str, float]]:
    """Values of the gauges by name, then by tag."""
    pools = status.pools
    return {
        "cap": status.cap,
        "spent": status.spent,
        "lost": status.lost,
        "in_flight": status.in_flight,
        "problems": status.problems,
        "tasks": status.tasks,
        "verdicts": status.verdicts,
        "workers": {kind: pool.workers for kind, pool in pools.items()},
        "workers_starting": {kind: pool.starting for kind, pool in pools.items()},
        "workers_restarted": {kind: pool.restarted for kind, pool in pools.items()},
        "busy": {kind: pool.busy for kind, pool in pools.items()},
        "busy_share": {kind: min(1.0, pool.busy / max(pool.workers, 1)) for kind, pool in pools.items()},
        "queued": {kind: pool.queued for kind, pool in pools.items()},
        "quarantined": {kind: pool.quarantined for kind, pool in pools.items()},
    }

"""Course of a run for its page: pools and grants on the clock, and the limit of its speed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.view.finished_run import FinishedRun
from testbudget.traces.run_tables import PoolRecord

BINS = 120
"""Most points of a series over time."""


def pool_series(pools: list[PoolRecord]) -> dict[str, dict[str, list[float]]]:
    """Use of the workers over time by kind.

    Args:
        pools: records in order of time.

    Returns:
        For each kind ``t`` (seconds), ``busy`` (share of the workers in [0, 1], mean of the bin),
        ``queued`` (pieces of work that wait, mean) and ``workers``.
    """
    return {
        kind: _binned([record for record in pools if record.kind == kind])
        for kind in dict.fromkeys(record.kind for record in pools)
    }


def limiting_shares(pools: list[PoolRecord]) -> dict[str, float]:
    """Share of the run's time at which all workers of a kind were busy and work waited for them."""
    found = {}
    for kind in dict.fromkeys(record.kind for record in pools):
        own = [record for record in pools if record.kind == kind]
        full = np.array([record.queued > 0 and record.busy >= record.workers for record in own])
        times = np.array([record.time for record in own])
        # A record holds until the next one of any kind's note, so the last one has no length.
        lengths = np.diff(times, append=times[-1:])
        whole = max(record.time for record in pools) - min(record.time for record in pools)
        found[kind] = float(lengths[full].sum() / whole) if whole > 0 else 0.0
    return found


def grant_series(run: FinishedRun) -> dict[str, list[float]] | None:
    """Tests granted and tests whose executions had finished, over time; None if no time is recorded.

    Returns:
        ``t`` (seconds), ``granted``, ``executed``.
    """
    if not run.grants:
        return None
    times = np.array([grant.time for grant in run.grants])
    sizes = np.array([grant.tests for grant in run.grants])
    ended = {
        piece.task: piece.finished
        for piece in run.work
        if piece.kind == "execute" and piece.task is not None
    }
    done = np.array([ended.get(grant.task, np.nan) for grant in run.grants])
    last = max(float(times.max()), float(np.nanmax(done, initial=0.0)))
    ticks = np.linspace(0.0, last, BINS)
    return {
        "t": np.round(ticks, 2).tolist(),
        "granted": _until(ticks, times, sizes),
        "executed": _until(ticks, done, sizes),
    }


def closed_counts(run: FinishedRun) -> Mapping[str, int]:
    """Number of problems by the reason why they got no more tests; empty if unknown."""
    counts: dict[str, int] = {}
    for reason in run.closed_because.values():
        counts[reason or "none"] = counts.get(reason or "none", 0) + 1
    return counts


def _until(ticks: NDArray[np.float64], times: NDArray[np.float64], sizes: NDArray[Any]) -> list[float]:
    known = ~np.isnan(times)
    order = np.argsort(times[known], kind="stable")
    sums = np.concatenate([[0], np.cumsum(sizes[known][order])])
    return [int(sums[k]) for k in np.searchsorted(times[known][order], ticks, side="right")]


def _binned(records: list[PoolRecord]) -> dict[str, list[float]]:
    times = np.array([record.time for record in records])
    values = np.array(
        [
            [
                min(1.0, record.busy / record.workers) if record.workers else 0.0,
                record.queued,
                record.workers,
            ]
            for record in records
        ]
    )
    parts = np.array_split(np.arange(len(records)), min(BINS, len(records)))
    means = np.array([values[part].mean(axis=0) for part in parts])
    return {
        "t": [round(float(times[part].mean()), 2) for part in parts],
        "busy": np.round(means[:, 0], 3).tolist(),
        "queued": np.round(means[:, 1], 1).tolist(),
        "workers": np.round(means[:, 2], 1).tolist(),
    }

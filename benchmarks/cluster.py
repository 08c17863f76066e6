"""A Ray cluster on this machine: speed on one node and on four, the driver's work, losses and recovery.

python benchmarks/cluster.py [--quick] [--losses N]

Scaling: runners that take as long over a block as the recorded run did, on one node of two cores and then
on four; pairs per second and the driver's CPU time per pair. Chaos: a job whose generation is replayed
loses actors, nodes (hard, and with notice) and its driver; its results are compared with an undisturbed
run's, and its log is audited. Size: the figures of ``size.py``, at a few numbers of problems. The last line
is a JSON object with all figures.
"""

import argparse
import functools
import importlib
import itertools
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import ray
from chaos import DRAIN_SECONDS, ENGINE, RUNNER, ChaosCluster, disturb, models, write_inputs, write_job
from log_audit import audit_log
from resume import RECORDING, Results
from size import size_figures

from testbudget.executors.metering import Reading, Usage
from testbudget.scheduler.backends.base import GenerateWork, GenerationDone
from testbudget.scheduler.backends.pool_plan import PoolPlan
from testbudget.scheduler.backends.pools import WorkerPools
from testbudget.scheduler.backends.ray import RayTransport
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.event_log import LOG_FILE
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run
from testbudget.traces.tables import read_trace

SEED = 0
SIZES, SIZES_QUICK = (3_000, 10_000, 30_000), (100, 400)
WHOLE, WHOLE_QUICK = 1_000, 40  # problems of the run that is ended and read
_BLOCKS_PER_RUNNER, _BLOCKS_PER_RUNNER_QUICK = 400, 100
_MOST_SECONDS = 1.0  # of a block; longer ones would leave one runner at work alone
_CAP = {"tokens": 10**7, "cpu_seconds": 10**6}


class LatencyRunner:
    """Runner that takes the given time over each block."""

    def report(self) -> Reading:
        """Nothing is metered."""
        return Reading(Usage(), Usage())

    def wait_out(self, seconds: float) -> float:
        """Take so many wall-seconds."""
        time.sleep(seconds)
        return seconds


class LatencyTransport(RayTransport):
    """Ray actors that take recorded times instead of running programs."""

    def make(self, kind: WorkerKind) -> Callable[[], Any]:
        """Function that makes a runner."""
        del kind
        return LatencyRunner


def recorded_blocks() -> tuple[list[float], float]:
    """Recorded CPU-seconds of one test on all programs of its problem, and mean number of pairs."""
    seconds, pairs = [], []
    for seen in read_trace(RECORDING).problems.values():
        for record in seen.verdicts.values():
            seconds.append(min(float(np.nansum(record.cpu_seconds)), _MOST_SECONDS))
            pairs.append(len(record.verdicts))
    return seconds, float(np.mean(pairs))


def scaling_figures(job: Path, cluster: ChaosCluster, blocks: int) -> dict[str, float]:
    """Blocks per second of two runners and of eight, and the driver's CPU time for each.

    Args:
        job: job that names the cluster.
        cluster: cluster with one node that offers two cores; it gets three more.
        blocks: blocks per runner.
    """
    loaded = load_job(job)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        transport = LatencyTransport(loaded, metered=False)
        transport.connected()
        found = _scaling(transport, cluster, blocks)
        transport.close()
    finally:
        ray.shutdown()
    found["scaling_1_to_4"] = found["pairs_per_second_4"] / found["pairs_per_second_1"]
    return found


def _scaling(transport: RayTransport, cluster: ChaosCluster, blocks: int) -> dict[str, float]:
    latencies, pairs = recorded_blocks()
    choices = random.Random(SEED)
    plan = PoolPlan(None, 2, "report", "wait_out", lambda works: (works[0].key[1],), _done, serial=True)
    found: dict[str, float] = {}
    numbers = itertools.count()
    for nodes in (1, 4):
        for number in range(1, nodes):
            cluster.join(f"cpu{number}", 2)
        pools = WorkerPools(transport, lambda _: plan, metered=False)
        runners = 2 * nodes
        _submit(pools, [0.5] * (4 * runners), numbers)
        ready = 0
        while ready < runners or pools.use()[WorkerKind.RUNNER].busy:
            pools.wait(0.2)
            ready = pools.use()[WorkerKind.RUNNER].workers
            if ready < runners and not pools.use()[WorkerKind.RUNNER].queued:
                _submit(pools, [0.5] * (4 * runners), numbers)
        chosen = choices.choices(latencies, k=blocks * runners)
        began, cpu_began, done = time.perf_counter(), time.process_time(), 0
        _submit(pools, chosen, numbers)
        while done < len(chosen):
            done += sum(isinstance(report, GenerationDone) for report in pools.wait(None))
        seconds = time.perf_counter() - began
        found[f"pairs_per_second_{nodes}"] = len(chosen) * pairs / seconds
        found[f"busy_share_{nodes}"] = sum(chosen) / seconds / runners
        found[f"driver_cpu_us_per_pair_{nodes}"] = (
            (time.process_time() - cpu_began) / len(chosen) / pairs * 1e6
        )
        pools.close()
    return found


def _submit(pools: WorkerPools, seconds: Sequence[float], numbers: "itertools.count[int]") -> None:
    for one in seconds:
        key: Hashable = (next(numbers), one)
        pools.submit(WorkerKind.RUNNER, GenerateWork(key, WorkerKind.RUNNER, str(key), ()))


def _done(works: Sequence[GenerateWork], value: float, pieces: Sequence[Any]) -> list[GenerationDone]:
    del value
    return [GenerationDone(works[0], (), pieces[0])]


def losses_of(cluster: ChaosCluster, records: int, count: int) -> list[tuple[int, str, Any]]:
    """So many losses, evenly over the records of a run, of all kinds in turn; each lost node is replaced.

    Args:
        cluster: cluster with the nodes ``gpu0``, ``gpu1``, ``cpu0`` and ``cpu1``.
        records: number of records in the log of the whole run.
        count: number of losses.
    """
    joined = itertools.count(2)
    kinds = itertools.cycle(
        ["engine", "runner", "node", "runner", "driver", "engine", "drain", "runner", "gpu node"]
    )
    found: list[tuple[int, str, Any]] = []
    for place in range(count):
        at = 1 + place * int(0.9 * records) // count
        match next(kinds):
            case "engine":
                found.append((at, "engine", functools.partial(cluster.kill_actor, ENGINE, place)))
            case "runner":
                found.append((at, "runner", functools.partial(cluster.kill_actor, RUNNER, place)))
            case "driver":
                found.append((at, "driver", None))
            case kind:
                gpus = int(kind == "gpu node")
                prefix = "gpu" if gpus else "cpu"
                lose = functools.partial(_lose_node, cluster, prefix, drained=kind == "drain")
                found.append((at, "drain" if kind == "drain" else "node", lose))
                name = f"{prefix}{next(joined)}"
                join = functools.partial(cluster.join, name, 1 if gpus else 2, gpus)
                found.append((at + 4, "join", join))
    return sorted(found, key=lambda loss: loss[0])


def _lose_node(cluster: ChaosCluster, prefix: str, *, drained: bool) -> None:
    name = next(name for name in cluster.nodes if name.startswith(prefix))
    if not drained:
        cluster.kill_node(name)
        return
    cluster.drain_node(name)
    threading.Timer(DRAIN_SECONDS, cluster.kill_node, [name]).start()


def chaos_figures(
    folder: Path, cluster: ChaosCluster, problems: int, tests: int, losses: int
) -> dict[str, Any]:
    """Results of a run with losses against those of an undisturbed run.

    Args:
        folder: folder of inputs and runs.
        cluster: cluster with the nodes that :func:`losses_of` needs.
        problems, tests: numbers of problems and of tests in all.
        losses: number of losses.
    """
    sections = write_inputs(folder / "in", problems, 0.2)
    importlib.invalidate_caches()  # the generator was not there when its folder came on the path
    sections |= {"cap": {"tests": tests, **_CAP}}
    calm = write_job(
        folder / "calm.yaml", **sections, **models(0), backend="in_process", execution={"runners": 2}
    )
    undisturbed = Results.of(start_run(load_job(calm), folder / "calm"))
    address = {"address": cluster.address}
    job = write_job(folder / "job.yaml", **sections, **models(1), backend="ray", cluster=address)
    records = problems + 2 * len(undisturbed.grants)
    report = disturb(job, folder / "out", losses_of(cluster, records, losses), timeout=1200.0)
    audit = audit_log(folder / "out" / LOG_FILE)
    differences = Results.of(folder / "out").differences(undisturbed)
    return {
        "losses": dict(report.losses),
        "states": dict(report.states),
        "drivers": report.drivers,
        "chaos_seconds": report.seconds,
        "same_picks": "picks" not in differences,
        "differences": differences,
        "recovery_seconds": max(report.recovery, default=0.0),
        **asdict(audit),
    }


def shown(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """Print figures, and return them."""
    for key, value in figures.items():
        text = f"{value:,.3f}" if isinstance(value, float) else str(value)
        print(f"{key:<28}{text:>14}", flush=True)
    return figures


def main() -> int:
    """Print the figures and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few blocks, losses and problems")
    parser.add_argument("--losses", type=int, help="number of losses (default: 20; 5 with --quick)")
    given = parser.parse_args()
    losses = given.losses or (5 if given.quick else 20)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plugins = folder / "chaos" / "in" / "plugins"
        sys.path.insert(0, str(plugins))
        with ChaosCluster(plugins) as cluster:
            cluster.join("cpu0", 2)
            source = {"problems": {"source": "humaneval"}, "candidates": {"from_run": str(RECORDING)}}
            job = write_job(
                folder / "scaling.yaml",
                **source,
                tests={"from_run": str(RECORDING)},
                cap={"tests": 1},
                cluster={"address": cluster.address},
            )
            blocks = _BLOCKS_PER_RUNNER_QUICK if given.quick else _BLOCKS_PER_RUNNER
            figures |= shown(scaling_figures(job, cluster, blocks))
            for name_of_node in ("cpu2", "cpu3"):
                cluster.kill_node(name_of_node)
            for name_of_node in ("gpu0", "gpu1"):
                cluster.join(name_of_node, 1, 1)
            shape = (6, 36) if given.quick else (12, 40 * losses // 4)
            figures |= shown(chaos_figures(folder / "chaos", cluster, *shape, losses))
    sizes, whole = (SIZES_QUICK, WHOLE_QUICK) if given.quick else (SIZES, WHOLE)
    figures |= shown(size_figures(sizes, whole=whole))
    print()
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    sys.exit(main())

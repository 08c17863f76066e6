"""A Ray cluster on this machine: speed on one node and on four, the driver's work, losses and recovery.

python benchmarks/cluster.py [--quick] [--losses N] [--seconds N]

Scaling: runners that take as long over a block as the recorded run did, on one node and then on four; pairs
per second and the driver's CPU time per pair. Chaos: a job whose generation is replayed loses actors, nodes
(hard, and with notice) and its driver; its results are compared with an undisturbed run's, and its log is
audited. Size: the figures of ``size.py``. A part that fails or is not done in time is named, and the exit
code is 1. With ``--quick`` the size is measured beside the others. The last line is a JSON object with all
figures, null where there is none.
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
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from bounded_parts import PartResults, run_parts
from chaos import DRAIN_SECONDS, ENGINE, RUNNER, ChaosCluster, disturb, models, write_inputs, write_job
from log_audit import audit_log
from resume import RECORDING, Results

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
RESULTS = (
    "scaling_1_to_4",
    "same_picks",
    "overspend",
    "double_verdicts",
    "recovery_seconds",
    "driver_tests_per_second",
    "resident_kb_per_problem",
    "disk_kb_per_problem",
    "reload_seconds_per_1000",
)
"""Figures that are always in the last line."""

_MOST_SECONDS = 1.0  # of a block; longer ones would leave one runner at work alone
_CAP = {"tokens": 10**7, "cpu_seconds": 10**6}


@dataclass(frozen=True, slots=True)
class Shape:
    """Extent of the benchmark.

    Attributes:
        seconds: wall-seconds for all parts.
        cores: cores of each node with runners.
        blocks: blocks per runner, to measure the speed.
        problems, tests: of the job that suffers losses.
        pair_seconds: wall-seconds that one candidate of each problem sleeps in a test of it.
        losses: number of losses.
        engines: engines of each model of this job, on a node each.
    """

    seconds: float
    cores: int
    blocks: int
    problems: int
    tests: int
    pair_seconds: float
    losses: int
    engines: int


FULL = Shape(
    seconds=2400, cores=2, blocks=400, problems=12, tests=200, pair_seconds=0.2, losses=20, engines=2
)
QUICK = Shape(seconds=95, cores=1, blocks=40, problems=4, tests=20, pair_seconds=0.05, losses=4, engines=1)


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


def scaling_figures(job: Path, cluster: ChaosCluster, shape: Shape) -> dict[str, float]:
    """Blocks per second of the runners of one node and of four, and the driver's CPU time for each.

    Args:
        job: job that names the cluster.
        cluster: cluster with one node that offers cores; it gets three more.
        shape: cores of a node, and blocks per runner.
    """
    loaded = load_job(job)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        transport = LatencyTransport(loaded, metered=False)
        transport.connected()
        found = _scaling(transport, cluster, shape)
        transport.close()
    finally:
        ray.shutdown()
    found["scaling_1_to_4"] = found["pairs_per_second_4"] / found["pairs_per_second_1"]
    return found


def _scaling(transport: RayTransport, cluster: ChaosCluster, shape: Shape) -> dict[str, float]:
    latencies, pairs = recorded_blocks()
    choices = random.Random(SEED)
    plan = PoolPlan(None, 2, "report", "wait_out", lambda works: (works[0].key[1],), _done, serial=True)
    found: dict[str, float] = {}
    numbers = itertools.count()
    for nodes in (1, 4):
        for number in range(1, nodes):
            cluster.join(f"cpu{number}", shape.cores)
        pools = WorkerPools(transport, lambda _: plan, metered=False)
        runners = shape.cores * nodes
        _warm_up(pools, runners, numbers)
        chosen = choices.choices(latencies, k=shape.blocks * runners)
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


def _warm_up(pools: WorkerPools, runners: int, numbers: "itertools.count[int]") -> None:
    """Wait until so many runners are there and have nothing to do."""
    ready = busy = 0
    while ready < runners or busy:
        pools.wait(0.2)
        use = pools.use().get(WorkerKind.RUNNER)
        ready, busy = (use.workers, use.busy + use.queued) if use else (0, 0)
        if ready < runners and not (use and use.queued):
            _submit(pools, [0.1] * (4 * runners), numbers)


def _submit(pools: WorkerPools, seconds: Sequence[float], numbers: "itertools.count[int]") -> None:
    for one in seconds:
        key: Hashable = (next(numbers), one)
        pools.submit(WorkerKind.RUNNER, GenerateWork(key, WorkerKind.RUNNER, str(key), ()))


def _done(works: Sequence[GenerateWork], value: float, pieces: Sequence[Any]) -> list[GenerationDone]:
    del value
    return [GenerationDone(works[0], (), pieces[0])]


def losses_of(cluster: ChaosCluster, records: int, count: int, cores: int) -> list[tuple[int, str, Any]]:
    """So many losses, evenly over the records of a run, of all kinds in turn; each lost node is replaced.

    Args:
        cluster: cluster with two nodes for runners, and one or two for engines.
        records: number of records in the log of the whole run.
        count: number of losses.
        cores: cores of a node for runners.
    """
    joined = itertools.count(2)
    kinds = itertools.cycle(
        ["runner", "node", "driver", "engine", "drain", "runner", "gpu node", "runner", "engine"]
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
                join = functools.partial(cluster.join, name, 1 if gpus else cores, gpus)
                found.append((at + 4, "join", join))
    return sorted(found, key=lambda loss: loss[0])


def _lose_node(cluster: ChaosCluster, prefix: str, *, drained: bool) -> None:
    name = next(name for name in cluster.nodes if name.startswith(prefix))
    if not drained:
        cluster.kill_node(name)
        return
    cluster.drain_node(name)
    threading.Timer(DRAIN_SECONDS, cluster.kill_node, [name]).start()


def chaos_figures(folder: Path, cluster: ChaosCluster, shape: Shape) -> dict[str, Any]:
    """Results of a run with losses against those of an undisturbed run.

    Args:
        folder: folder of inputs and runs.
        cluster: cluster with the nodes that :func:`losses_of` needs.
        shape: numbers of problems, tests and losses.
    """
    sections = write_inputs(folder / "in", shape.problems, shape.pair_seconds)
    importlib.invalidate_caches()  # the generator was not there when its folder came on the path
    sections |= {"cap": {"tests": shape.tests, **_CAP}}
    calm = write_job(
        folder / "calm.yaml", **sections, **models(0), backend="in_process", execution={"runners": 2}
    )
    undisturbed = Results.of(start_run(load_job(calm), folder / "calm"))
    address = {"address": cluster.address}
    job = write_job(
        folder / "job.yaml", **sections, **models(1, engines=shape.engines), backend="ray", cluster=address
    )
    records = shape.problems + 2 * len(undisturbed.grants)
    losses = losses_of(cluster, records, shape.losses, shape.cores)
    report = disturb(job, folder / "out", losses, timeout=shape.seconds)
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


def cluster_part(shape: Shape) -> None:
    """Print the figures of scaling and of losses, one JSON object each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plugins = folder / "chaos" / "in" / "plugins"
        sys.path.insert(0, str(plugins))
        with ChaosCluster(plugins) as cluster:
            cluster.join("cpu0", shape.cores)
            source = {"problems": {"source": "humaneval"}, "candidates": {"from_run": str(RECORDING)}}
            job = write_job(
                folder / "scaling.yaml",
                **source,
                tests={"from_run": str(RECORDING)},
                cap={"tests": 1},
                cluster={"address": cluster.address},
            )
            print(json.dumps(scaling_figures(job, cluster, shape)), flush=True)
            for lost in ("cpu2", "cpu3"):
                cluster.kill_node(lost)
            for number in range(shape.engines):
                cluster.join(f"gpu{number}", 1, 1)
            print(json.dumps(chaos_figures(folder / "chaos", cluster, shape)), flush=True)


def all_parts(shape: Shape, *, quick: bool) -> PartResults:
    """Figures of all parts; those of one that fails are missing."""
    here = Path(__file__)
    flags = ["--quick"] if quick else []
    own = [sys.executable, str(here), "--part", json.dumps(asdict(shape))]
    size = [sys.executable, str(here.with_name("size.py")), *flags]
    if quick:
        return run_parts({"scaling and losses": own, "size": size}, shape.seconds)
    first = run_parts({"scaling and losses": own}, shape.seconds)
    second = run_parts({"size": size}, shape.seconds)
    return PartResults(first.figures | second.figures, first.failures + second.failures)


def main() -> int:
    """Print the figures and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small parts, within two minutes")
    parser.add_argument("--losses", type=int, help=f"number of losses (default: {FULL.losses})")
    parser.add_argument("--seconds", type=float, help="wall-seconds after which a part is ended")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        cluster_part(Shape(**json.loads(given.part)))
        return 0
    shape = QUICK if given.quick else FULL
    if given.losses:
        shape = replace(shape, losses=given.losses, tests=10 * given.losses)
    shape = replace(shape, seconds=given.seconds or shape.seconds)
    found = all_parts(shape, quick=given.quick)
    figures = dict.fromkeys(RESULTS) | found.figures
    broken = [name for name in ("overspend", "double_tests", "double_verdicts") if figures.get(name)]
    if figures["same_picks"] is False:
        broken.append("same_picks")
    failures = [*found.failures, *(f"losses: {name} is {figures[name]}" for name in broken)]
    for sentence in failures:
        print(f"failed: {sentence}")
    print()
    print(json.dumps({**figures, "failures": failures}))
    return int(bool(failures))


if __name__ == "__main__":
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    sys.exit(main())

"""A cluster of five nodes on this machine, a job on it, and losses of actors, nodes and the driver.

Two nodes have a logical GPU and hold the engines, whose answers are replayed; two offer cores to sandboxes;
the head offers nothing. The driver is a ``testbudget run`` of its own, so that it can be killed.
"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from testbudget.executors.execution.sandbox import kernel
from testbudget.scheduler.event_log import LOG_FILE
from testbudget.traces.live_status import STATUS_FILE

_STORE_BYTES = 80 << 20
_SETTINGS = {
    # A loss that no port tells is told by Ray within some seconds.
    "health_check_initial_delay_ms": 5000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 5,
    # Processes of workers start when there is an actor for them: all nodes share this machine.
    "enable_worker_prestart": False,
    "prestart_worker_first_driver": False,
}
DRAIN_SECONDS = 4.0
"""Seconds between the notice of a drained node and its end."""
_START_SECONDS = 120.0

_GENERATOR = '''
"""Generator whose answers are a function of the request, each after a while."""

import asyncio
import os

from testbudget.executors.generation.base import Completion, Generator

PROGRAMS = {programs}


class Replayed(Generator):
    def __init__(self, name):
        self._name = name

    @classmethod
    def from_settings(cls, settings):
        return cls(settings.model)

    async def generate(self, request, sampling):
        return await self.generate_counted(request, sampling, lambda tokens: None)

    async def generate_counted(self, request, sampling, count):
        for _ in range(4):
            await asyncio.sleep(0.02 + 0.01 * (request.index % 5))
            count(5)
        k, x = int(request.problem.split("/")[1]), request.index
        if self._name == "poisoned" and k == 2:
            os._exit(1)
        wrong = (k + x) % 7 == 0
        code = f"assert times_{k}({x}) == {k * x + wrong}"
        if self._name == "policy":
            code = f"def times_{k}(x):\\n    return {PROGRAMS[x % len(PROGRAMS)].format(k=k)}"
        return Completion(f"```python\\n{code}\\n```", 20, 0.0, "stop")
'''
_PROGRAMS = ("x * {k}", "{k} * x", "x + {k}", "x ** {k}", "x * {k} if x < 5 else 0")
_SLOW = "__import__('time').sleep({seconds}) or x * {{k}}"


def write_inputs(folder: Path, problems: int, pair_seconds: float) -> dict[str, Any]:
    """Write problems and the generator; return the sections of a job that reads them.

    Args:
        folder: folder for them; ``folder / "plugins"`` goes on the path of every process.
        problems: number of problems.
        pair_seconds: wall-seconds that one candidate of each problem sleeps in a test.
    """
    rows = []
    for k in range(2, problems + 2):
        prompt = f'def times_{k}(x):\n    """Returns x times {k}."""\n'
        truth = f"assert times_{k}(7) == {7 * k}\n"
        entry = {"prompt": prompt, "entry_point": f"times_{k}", "ground_truth": truth}
        rows.append({"id": f"times/{k}", **entry})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "problems.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
    )
    metadata = folder / "plugins" / "replayed-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: replayed\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[testbudget.generators]\nreplayed = replayed:Replayed\n")
    programs = (*_PROGRAMS, _SLOW.format(seconds=pair_seconds))
    text = _GENERATOR.replace("{programs}", repr(programs))
    (folder / "plugins" / "replayed.py").write_text(text, encoding="utf-8")
    return {
        "problems": {"source": str(folder / "problems.jsonl"), "check_ground_truth": False},
        "policy": {"name": "adaptive"},
        "elimination": {"apply_to": "none"},
    }


def models(gpus: float, reward: str = "reward", engines: int = 2) -> dict[str, Any]:
    """Sections of two models whose answers are replayed, on engines of one core each.

    Args:
        gpus: GPUs of each engine.
        reward: name of the model that writes tests; ``poisoned`` ends its process on the first problem.
        engines: engines of each model.
    """
    shape = {"generator": "replayed", "actors": engines, "gpus": gpus, "cpus": 1, "in_flight": 4}
    policy = {"name": "policy", "template": "program", **shape}
    tests = {"name": reward, "template": "coderm", **shape}
    return {"candidates": {"model": policy, "count": len(_PROGRAMS) + 1}, "tests": {"model": tests}}


class ChaosCluster:
    """Ray cluster of nodes on this machine, ended by its handle. A context manager.

    Args:
        plugins: folder that goes on the path of every process.
    """

    def __init__(self, plugins: Path) -> None:
        root = str(Path(__file__).resolve().parents[1])
        path = [str(plugins), root, *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ |= {"PYTHONPATH": os.pathsep.join(path), "RAY_AUTH_MODE": "disabled"}
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                "object_store_memory": _STORE_BYTES,
                "include_log_monitor": False,
                "no_monitor": True,  # the autoscaler's
                "_system_config": _SETTINGS,
            },
        )
        self.address: str = self._cluster.address
        self.nodes: dict[str, Any] = {}

    def __enter__(self) -> "ChaosCluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()

    def join(self, name: str, cpus: int, gpus: int = 0) -> None:
        """Let a node join, without waiting for it."""
        self.nodes[name] = self._cluster.add_node(
            wait=False,
            num_cpus=cpus,
            num_gpus=gpus,
            object_store_memory=_STORE_BYTES,
            include_log_monitor=False,
        )

    def kill_node(self, name: str) -> None:
        """End a node's processes at once, as when its power is cut."""
        self._cluster.remove_node(self.nodes.pop(name), allow_graceful=False)

    def drain_node(self, name: str, seconds: float = DRAIN_SECONDS) -> float:
        """Tell that a node will be taken away; return the time on ``time.monotonic`` when it must be."""
        reason = autoscaler_pb2.DrainNodeReason.DRAIN_NODE_REASON_PREEMPTION
        deadline = int((time.time() + seconds) * 1000)
        GcsClient(self.address).drain_node(self.nodes[name].node_id, reason, "preempted", deadline)
        return time.monotonic() + seconds

    def actors(self, title: bytes) -> list[int]:
        """Processes of this cluster's actors whose title begins so."""
        found = []
        waiting = [os.getpid()]
        while waiting:
            with contextlib.suppress(OSError):
                children = kernel.children(waiting.pop())
                waiting += children
                for child in children:
                    with contextlib.suppress(OSError):
                        found += (
                            [child] if Path(f"/proc/{child}/cmdline").read_bytes().startswith(title) else []
                        )
        return found

    def kill_actor(self, title: bytes, choice: int) -> bool:
        """Kill the process of an actor; False if there is none."""
        actors = sorted(self.actors(title))
        if not actors:
            return False
        with contextlib.suppress(OSError):
            os.kill(actors[choice % len(actors)], signal.SIGKILL)
        return True


RUNNER, ENGINE = b"ray::_Actor", b"ray::_AsyncActor"
"""Titles of the processes of runners and engines."""


@dataclass
class ChaosReport:
    """Losses of a run, and how it got on.

    Attributes:
        losses: number of losses by kind.
        states: number of losses in which some task was in each state.
        seconds: wall-seconds from the first loss to the end.
        drivers: drivers that it took.
        recovery: wall-seconds from each loss of a node to the next result.
    """

    losses: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    drivers: int = 0
    recovery: list[float] = field(default_factory=list)


@contextlib.contextmanager
def driver_of(arguments: Sequence[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A driver in a process of its own, which ends with the context."""
    command = [sys.executable, "-m", "testbudget", "run", *arguments]
    with output.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


def disturb(
    job: Path,
    out: Path,
    losses: Sequence[tuple[int, str, Callable[[], object]]],
    timeout: float,
) -> ChaosReport:
    """Run a job to its end while losses happen.

    Args:
        job: job file.
        out: run directory.
        losses: for each loss the number of records in the log after which it happens, its kind and deed.
            Kind ``driver`` kills the driver; kind ``join`` is no loss.
        timeout: wall-seconds after which the run counts as stuck.

    Raises:
        AssertionError: the run is stuck, or a driver ended by itself with an error.
    """
    report = ChaosReport()
    output = out.with_suffix(".output")
    waiting, began, end = list(losses), None, time.monotonic() + timeout
    arguments = [str(job), "--out", str(out)]
    while True:
        report.drivers += 1
        with driver_of(arguments, output) as driver:
            killed = False
            while driver.poll() is None and not killed:
                assert time.monotonic() < end, f"stuck: {output.read_text()[-2000:]}"
                if waiting and _records(out) >= waiting[0][0]:
                    began = began or time.monotonic()
                    _, kind, deed = waiting[0]
                    tasks = _tasks(out)
                    killed = kind == "driver"
                    if killed:
                        driver.kill()
                    elif deed() is False:  # there is no such worker at this moment
                        time.sleep(0.05)
                        continue
                    waiting.pop(0)
                    for state, count in tasks.items():
                        report.states[state] += count > 0
                    report.losses[kind] += kind != "join"
                    if kind == "node":
                        report.recovery.append(_next_result(driver, out, end))
                time.sleep(0.05)
        if not killed:
            assert not waiting, f"the run ended before {len(waiting)} of the losses"
            assert driver.returncode == 0, output.read_text()[-3000:]
            report.seconds = time.monotonic() - (began or end)
            return report
        arguments = ["--resume", str(out)]


def _next_result(driver: "subprocess.Popen[bytes]", out: Path, end: float) -> float:
    """Wall-seconds until there is another result, or the run ends."""
    before, began = _records(out), time.monotonic()
    while driver.poll() is None and _records(out) == before and time.monotonic() < end:
        time.sleep(0.02)
    return time.monotonic() - began


def _records(out: Path) -> int:
    """Number of records in the log: one for each problem sampled, task generated and rung executed."""
    place = f"file:{out / LOG_FILE}?mode=ro"
    kinds = "('SampledRecord', 'GeneratedRecord', 'ExecutedRecord')"
    query = f"SELECT COUNT(*) FROM records WHERE kind IN {kinds}"
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(place, uri=True)) as database,
    ):
        return int(database.execute(query).fetchone()[0])
    return 0


def _tasks(out: Path) -> Mapping[str, int]:
    """Number of unfinished tasks by state, by the run's status."""
    with contextlib.suppress(OSError, ValueError):
        found: Mapping[str, int] = json.loads((out / STATUS_FILE).read_text()).get("tasks", {})
        return found
    return {}


def write_job(path: Path, **sections: object) -> Path:
    """Write a job file."""
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return path

"""CPU time of real runs under a cap, by the kernel's count: never more than the cap, and most of it used.

python benchmarks/leases.py [--quick]

Candidates that burn 0.1 to 2 CPU-seconds on each test are executed in real sandboxes, in process and on a
local Ray cluster, under caps in CPU-seconds of a fraction of what all tests need, without elimination. The
kernel's counts of the sandboxes' control groups are read hundreds of times a second. In the middle, a
runner's process is killed on Ray, whose open lease is charged as lost; in process a sandbox is killed. The
last line is a JSON object with all figures.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from burning_run import BurningRun, write_burning_run
from group_meter import GroupMeter
from own_processes import adopt_orphans, end_descendants

from testbudget.scheduler.core.budget import Budget
from testbudget.scheduler.core.events import (
    Cap,
    Executed,
    WorkerJoined,
    WorkerLeft,
    WorkerLost,
    WorkerMetered,
)
from testbudget.scheduler.event_log import LOG_FILE, EventLog
from testbudget.traces.run_info import read_run_info
from testbudget.traces.tables import read_trace

SEED, RUNNERS = 0, 2
PROBLEMS = 64  # so many that a grant is a single test, as in large jobs: a cut loses little
_LIMIT_SECONDS = 3.0  # of one pair; no loop reaches it
_TIMEOUT_SECONDS = 400.0  # of a run: one that takes longer hangs
_ENDING_SECONDS = 180.0
_KILL_AT = 0.4  # share of the cap that is used when something is killed


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one run. Amounts in CPU-seconds.

    Attributes:
        cap: the cap.
        share_of_need: the cap as a share of what all tests need.
        kernel: largest sum of the kernel's counts at one moment.
        spent, lost: by the books.
        in_verdicts: CPU time of pairs with a verdict.
        executed: executed pairs.
        cut_tasks: tasks that the end of the cap cut.
        well_used: share of the cap that went into pairs with a verdict.
        overspend: what the kernel counted above the cap, or 0.
        killed: what was killed.
        lost_with_worker: lease that was charged for the killed worker.
        unreported_of_worker: what the kernel had counted for it and it had not reported.
        sandboxes: control groups that were counted.
        samples: readings.
        wall_seconds: of the whole run, start and results included.
        seconds_after_last_verdict: wall-seconds until the log's last entry.
        picks: lines of ``picks.jsonl``.
        exit_code: of the run.
        left: command lines of processes that did not end by themselves.
    """

    cap: float
    share_of_need: float
    kernel: float
    spent: float
    lost: float
    in_verdicts: float
    executed: int
    cut_tasks: int
    well_used: float
    overspend: float
    killed: str
    lost_with_worker: float
    unreported_of_worker: float
    sandboxes: int
    samples: int
    wall_seconds: float
    seconds_after_last_verdict: float
    picks: int
    exit_code: int
    left: list[str]

    @property
    def broken(self) -> list[str]:
        """Rules that do not hold."""
        rules = {
            "the kernel counted more than the cap": self.overspend > 0,
            "the books hold more than the cap": self.spent + self.lost > self.cap + 1e-6,
            "the books hold less than the kernel counted": self.spent + self.lost < self.kernel - 0.05,
            "the lease of a killed worker does not cover what it used": (
                self.lost_with_worker < self.unreported_of_worker
            ),
            "the run has not ended with picks": self.exit_code != 0 or self.picks != PROBLEMS,
            "processes are left": bool(self.left),
        }
        return [rule for rule, is_broken in rules.items() if is_broken]


def run_under_cap(burning: BurningRun, folder: Path, backend: str, cap: float) -> Figures:
    """Run a job in a process of its own, read the kernel's counts, and kill something in the middle."""
    name = f"{backend}-{cap:g}"
    directory, path = folder / name, folder / f"{name}.yaml"
    run = {"from_run": str(burning.directory)}
    job = {
        "problems": {"source": str(burning.problems_file)},
        "candidates": run,
        "tests": run,
        "policy": {"name": "uniform"},
        "elimination": {"apply_to": "none"},
        "execution": {"runners": RUNNERS, "cpu_seconds": _LIMIT_SECONDS, "wall_seconds": 60.0},
        "cap": {"cpu_seconds": cap},
        "backend": backend,
        "seed": SEED,
    }
    path.write_text(yaml.safe_dump(job))
    command = [sys.executable, "-m", "testbudget", "run", str(path), "--out", str(directory)]
    start = time.monotonic()
    victim = None
    with GroupMeter() as meter, subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and time.monotonic() < start + _TIMEOUT_SECONDS:
            running = [group for group in meter.counted if group.open and group.seconds > 1]
            if victim is None and running and meter.most > _KILL_AT * cap:
                victim = running[0]
                os.kill(victim.worker if backend == "ray" else victim.guard, signal.SIGKILL)
            time.sleep(0.01)
        process.kill()
    wall_seconds = time.monotonic() - start
    left = end_descendants(_ENDING_SECONDS)
    lost_with_worker, reported, pause = _lost_worker(directory, cap)
    of_victim = sum(group.seconds for group in meter.counted if victim and group.worker == victim.worker)
    info, trace = read_run_info(directory), read_trace(directory)
    assert info is not None
    rows = [record for seen in trace.problems.values() for record in seen.verdicts.values()]
    in_verdicts = float(sum(record.cpu_seconds.sum() for record in rows))
    return Figures(
        cap,
        round(cap / burning.needed, 3),
        meter.most,
        info.books["spent"]["cpu_seconds"],
        info.books["lost"]["cpu_seconds"],
        in_verdicts,
        int(info.books["spent"]["executions"]),
        len(info.cut_tasks),
        in_verdicts / cap,
        max(0.0, meter.most - cap),
        "nothing" if victim is None else "runner's process" if backend == "ray" else "sandbox",
        lost_with_worker,
        of_victim - reported if backend == "ray" and victim else 0.0,
        len(meter.counted),
        meter.samples,
        wall_seconds,
        pause,
        len((directory / "picks.jsonl").read_text().splitlines()),
        process.returncode,
        left,
    )


def _lost_worker(directory: Path, cap: float) -> tuple[float, float, float]:
    """By the log: lease charged for the first lost worker, its last report, and the pause at the end."""
    budget, reported = Budget(Cap({"cpu_seconds": cap})), dict[int, float]()
    lost = of_lost = last_verdict = last = 0.0
    with EventLog(directory / LOG_FILE) as log:
        for entry in log.events():
            last = entry.time
            match entry.event:
                case WorkerJoined(worker, kind, slice_):
                    budget.join(worker, kind, slice_)
                case WorkerMetered(worker, used, slice_):
                    budget.meter(worker, used, slice_)
                    reported[worker] = used.cpu_seconds
                case WorkerLeft(worker):
                    budget.leave(worker)
                case WorkerLost(worker):
                    budget.lose(worker)
                    if not lost:
                        lost, of_lost = budget.books().lost["cpu_seconds"], reported.get(worker, 0.0)
                case Executed():
                    last_verdict = last
                case _:
                    pass
    return lost, of_lost, last - last_verdict


def main() -> int:
    """Run under caps; exit code 1 if a rule does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one small cap instead of two larger ones")
    parser.add_argument("--backend", choices=("in_process", "ray"), help="one back end alone")
    arguments = parser.parse_args()
    caps = [20.0] if arguments.quick else [40.0, 80.0]

    adopt_orphans()
    figures: dict[str, Any] = {}
    broken: list[str] = []
    with tempfile.TemporaryDirectory(prefix="leases-") as folder:
        burning = write_burning_run(Path(folder), PROBLEMS, SEED)
        print(f"all tests need {burning.needed:.0f} CPU-seconds", flush=True)
        for backend in [arguments.backend] if arguments.backend else ["in_process", "ray"]:
            for cap in caps:
                name = f"{backend}, {cap:g} CPU-seconds"
                found = run_under_cap(burning, Path(folder), backend, cap)
                figures[name] = asdict(found)
                broken += [f"{name}: {rule}" for rule in found.broken]
                print(f"{name}: {asdict(found)}", flush=True)
    print(*broken or ["all rules hold"], sep="\n")
    print(json.dumps(figures | {"broken": broken}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

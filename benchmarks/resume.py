"""Runs that are killed with SIGKILL again and again, and resumed: their results are those of a whole run.

python benchmarks/resume.py [--quick]

A job of 12 problems with 16 recorded candidates each, executed in real sandboxes with elimination, under
``uniform`` and ``adaptive``, in process and on a local Ray cluster. Each is run once as a whole. Then it is
killed at positions drawn by number of entries in the log, and resumed each time. Most kills are inside a
write: rows are inserted and not committed, or the write-ahead log has changed and the commit has not
returned. Others come from a process that reads the log. The last line is a JSON object with all figures.
"""

import argparse
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from killed_run import INSIDE
from own_processes import adopt_orphans, end_descendants

from testbudget.rewards.problem import NOT_RUN
from testbudget.scheduler.event_log import LOG_FILE, EventLog
from testbudget.scheduler.log_records import ExecutedRecord, GeneratedRecord
from testbudget.traces.output_tables import pack_outputs, read_outputs
from testbudget.traces.run_info import read_run_info
from testbudget.traces.run_tables import GrantRecord, read_run_table
from testbudget.traces.tables import read_trace

SEED = 0
RECORDING = Path(__file__).parents[1] / "examples" / "humaneval"
PROBLEMS = (0, 5, 6, 11, 19, 24, 40, 46, 57, 69, 82, 90)  # no program of theirs is near its time limit
CANDIDATES, TESTS_PER_PROBLEM, RUNNERS = 16, 14, 2
_MOMENTS = ("open", "commit", "watched", "open", "commit", "watched", "durable")
_SECONDS = 240.0  # of one process at most
_ENDING_SECONDS = (
    180.0  # that all processes may take to end by themselves; those of a killed Ray wait for it
)
_POLL_SECONDS = 0.002


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What a run has found: equal for equal decisions and equal work.

    Attributes:
        picks: text of ``picks.jsonl``.
        grants: task, problem, first test, tests and value of each grant.
        verdicts: verdicts by problem and test.
        outputs: packed recorded outputs by problem.
        books: tests and executions spent, lost and reserved.
        twice: (problem, test) pairs that were generated or executed more than once by the log.
        mismatches: counts of the log that differ from the books.
    """

    picks: str
    grants: list[tuple[Any, ...]]
    verdicts: dict[tuple[str, int], list[int]]
    outputs: dict[str, bytes]
    books: dict[str, list[float]]
    twice: int
    mismatches: int

    @classmethod
    def of(cls, directory: Path) -> "Results":
        """Results in a run directory."""
        info = read_run_info(directory)
        assert info is not None
        quantities = ("tests", "executions")
        books = {name: [info.books[name][one] for one in quantities] for name in info.books}
        verdicts = {
            (problem, test): record.verdicts.tolist()
            for problem, seen in read_trace(directory).problems.items()
            for test, record in seen.verdicts.items()
        }
        generated, executed = _counts_of_log(directory)
        pairs = sum(verdict != NOT_RUN for row in verdicts.values() for verdict in row)
        counted = [len(generated), pairs, len(executed)]
        return cls(
            (directory / "picks.jsonl").read_text(),
            [
                (grant.task, grant.problem, grant.first, grant.tests, grant.value)
                for grant in read_run_table(GrantRecord, directory)
            ],
            verdicts,
            {problem: pack_outputs(found) for problem, found in read_outputs(directory).items()},
            books,
            sum(count > 1 for counter in (generated, executed) for count in counter.values()),
            sum(a != b for a, b in zip(counted, [*books["spent"], len(verdicts)], strict=True)),
        )

    def differences(self, other: "Results") -> list[str]:
        """Names of what differs, or breaks a rule."""
        named = ("picks", "grants", "verdicts", "outputs", "books")
        found = [name for name in named if getattr(self, name) != getattr(other, name)]
        found += ["charged twice"] if self.twice else []
        return found + (["books differ from the log"] if self.mismatches else [])


@dataclass(slots=True)
class Kills:
    """What happened to one run that was killed again and again.

    Attributes:
        kills: times that it was killed.
        inside: kills inside a write.
        undone: kills inside a write after which the log did not hold the entries.
        seconds: wall-seconds of all its processes.
        differences: names of what differs from the undisturbed run.
        left: command lines of processes that did not end by themselves within minutes.
    """

    kills: int = 0
    inside: int = 0
    undone: int = 0
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def write_job(path: Path, backend: str, policy: dict[str, Any]) -> Path:
    """Write the job."""
    run = {"from_run": str(RECORDING)}
    job = {
        "problems": {"source": "humaneval", "ids": [f"HumanEval/{number}" for number in PROBLEMS]},
        "candidates": run | {"count": CANDIDATES},
        "tests": run,
        "policy": policy,
        "elimination": {"apply_to": "all"},
        "execution": {"runners": RUNNERS},
        "cap": {"tests": TESTS_PER_PROBLEM * len(PROBLEMS)},
        "backend": backend,
        "seed": SEED,
    }
    path.write_text(yaml.safe_dump(job))
    return path


def run_whole(arguments: Sequence[str]) -> float:
    """Run a command to its end; return its wall-seconds."""
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "testbudget", *arguments],
        check=True,
        timeout=_SECONDS,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - start


def run_killed(job: Path, directory: Path, positions: Sequence[int], undisturbed: Results) -> Kills:
    """Run a job that is killed when its log reaches each position, and resume it each time."""
    found = Kills()
    note = directory.with_suffix(".note")
    for number, position in enumerate(positions):
        before = _entries(directory)
        started = (directory / LOG_FILE).exists()
        arguments = _resume(directory) if started else ["run", str(job), "--out", str(directory)]
        moment, target = _MOMENTS[number % len(_MOMENTS)], max(position, before + 1)
        start = time.monotonic()
        note.unlink(missing_ok=True)
        status = (
            _watch(arguments, directory, target)
            if moment == "watched"
            else _kill_inside(arguments, (str(target), moment, str(note)))
        )
        found.seconds += time.monotonic() - start
        if status != -signal.SIGKILL:
            print(f"position {target}: the process was not killed and ended with status {status}")
            break
        found.kills += 1
        if note.exists() and note.read_text() == INSIDE:
            found.inside += 1
            found.undone += _entries(directory) < target
    found.seconds += run_whole(_resume(directory))
    found.differences = undisturbed.differences(undisturbed) + Results.of(directory).differences(
        undisturbed
    )
    return found


def _resume(directory: Path) -> list[str]:
    return ["run", "--resume", str(directory)]


def _kill_inside(arguments: Sequence[str], settings: Sequence[str]) -> int:
    script = Path(__file__).with_name("killed_run.py")
    command = [sys.executable, str(script), *settings, *arguments]
    return subprocess.run(command, check=False, timeout=_SECONDS, stdout=subprocess.DEVNULL).returncode


def _watch(arguments: Sequence[str], directory: Path, target: int) -> int:
    """Run a command, and kill it as soon as a reader sees that its log has reached the target."""
    command = [sys.executable, "-m", "testbudget", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        end = time.monotonic() + _SECONDS
        while process.poll() is None and _entries(directory) < target:
            if time.monotonic() > end:
                process.kill()
                raise TimeoutError(f"{' '.join(command)} took longer than {_SECONDS:g} s")
            time.sleep(_POLL_SECONDS)
        process.kill()
        return process.wait()


def _entries(directory: Path) -> int:
    """Entries in the log, as another process sees them while the run goes on."""
    path = directory / LOG_FILE
    if not path.exists():
        return 0
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()[0])
    except sqlite3.OperationalError:  # its tables are not there yet
        return 0
    finally:
        database.close()


def _counts_of_log(directory: Path) -> tuple[Counter[tuple[str, int]], Counter[tuple[str, int]]]:
    """Times that each (problem, test) was generated, and executed, by the records of the log."""
    generated, executed = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    with EventLog(directory / LOG_FILE) as log:
        for entry in log.entries(["Generated", "Executed"], outputs=False):
            for record in entry.records:
                if isinstance(record, GeneratedRecord):
                    tests = range(record.first, record.first + len(record.tests))
                    generated.update((record.problem, test) for test in tests)
                elif isinstance(record, ExecutedRecord):
                    executed.update((record.problem, test) for test in record.tests)
    return generated, executed


def _jobs(folder: Path, backends: Sequence[str]) -> Iterator[tuple[str, str, Path, Path, float]]:
    """Back end, policy, job, undisturbed run and its wall-seconds."""
    for backend in backends:
        for name in ("uniform", "adaptive"):
            job = write_job(folder / f"{backend}-{name}.yaml", backend, {"name": name})
            whole = folder / f"{backend}-{name}-whole"
            seconds = run_whole(["run", str(job), "--out", str(whole)])
            yield backend, name, job, whole, seconds


def main() -> int:
    """Kill and compare; exit code 1 if anything differs, is charged twice or is left behind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="kills of each run (default: %(default)s)")
    parser.add_argument("--backend", choices=("in_process", "ray"), help="one back end alone")
    parser.add_argument("--quick", action="store_true", help="3 kills of each run in process alone")
    arguments = parser.parse_args()
    kills = 3 if arguments.quick else arguments.kills
    backends = [arguments.backend] if arguments.backend else ["in_process", "ray"]
    if arguments.quick and not arguments.backend:
        backends = ["in_process"]

    adopt_orphans()
    random = np.random.default_rng(SEED)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="resume-") as folder:
        for backend, policy, job, whole, seconds in _jobs(Path(folder), backends):
            undisturbed = Results.of(whole)
            positions = np.sort(random.integers(1, _entries(whole) + 1, kills)).tolist()
            found = run_killed(job, whole.with_name(f"{backend}-{policy}"), positions, undisturbed)
            found.left = end_descendants(_ENDING_SECONDS)
            lost = (found.seconds - seconds) / max(found.kills, 1)
            figures[f"{backend}, {policy}"] = asdict(found) | {
                "entries": _entries(whole),
                "executions": undisturbed.books["spent"][1],
                "seconds_undisturbed": round(seconds, 2),
                "seconds_lost_per_resume": round(lost, 2),
            }
            print(f"{backend}, {policy}: {figures[f'{backend}, {policy}']}", flush=True)
    broken = [name for name, found in figures.items() if found["differences"] or found["left"]]
    print(f"{len(broken)} of {len(figures)} runs differ from undisturbed ones or leave processes behind")
    print(json.dumps(figures))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs of many problems on one driver: memory, disk, speed of the loop, and time to load a killed run.

python benchmarks/size.py [--quick] [--problems N ...] [--whole N] [--end]

Whole runs under ``adaptive`` with a back end that answers at once with recorded work, 32 candidates a
problem. Each is stopped when nine tenths of its tests are made, and loaded again in a new process; the last
one is then ended and read. Slopes are between the smallest and the largest run; all have more problems than
stay in memory. With ``--quick`` few stay there, and the runs are small. Equal answers are read once, so
``driver_tests_per_second`` counts the loop without reading answers and assessing picks, which
``reading_ms_per_test`` and ``judging_ms_per_test`` hold. A run is loaded once its log is folded, and has
restarted once its unfinished work was sent again. *Settled* is the share of problems that get no further
test when their run is stopped. The last line is a JSON object with all figures.
"""

import argparse
import atexit
import ctypes
import functools
import gc
import importlib
import json
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa
import repeated_backend

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.scheduler import run, run_problems
from testbudget.scheduler.assessment import Assessor
from testbudget.scheduler.core.problems import Closed
from testbudget.scheduler.driver import Driver
from testbudget.scheduler.evidence_store import MAX_PAGES, EvidenceStore
from testbudget.scheduler.job import Job
from testbudget.scheduler.work import candidates
from testbudget.traces.tables import read_trace

FULL, QUICK = (3_000, 10_000, 30_000), (200, 600)
"""Numbers of problems, and those with ``--quick``."""

_FEW_TESTS = 2  # of each problem in the mean, where memory and loading are measured
_TESTS, _WHOLE, _WHOLE_QUICK = 32, 150, 20  # tests and problems of a run that is ended and read
_PAGES_QUICK = 64  # problems whose records stay in memory
_STOPPED_AT = 0.9  # of all tests
_PARTS = ("reading", "judging", "sampling", "loading")
_KB = 1024


class _StoppedError(Exception):
    """End of the first part of a run."""


def _resident() -> float:
    """Resident memory of this process, in kB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / _KB


def _give_back_memory() -> None:
    """Return free memory of this process to the system: what grows later is not hidden in it."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def _job(directory: Path, problems: int, tests: int) -> dict[str, Any]:
    model = {"name": "none", "gpus": 0}
    return {
        "problems": {"source": str(directory / "problems.jsonl"), "check_ground_truth": False},
        "candidates": {"count": 32, "model": {**model, "template": "completion"}},
        "tests": {"model": {**model, "template": "coderm"}},
        "policy": {"name": "adaptive", "max_tests": min(4 * tests, _TESTS), "stop_when_harmful": False},
        "cap": {"tests": problems * tests},
        "backend": "repeated",
    }


def _timed(owner: Any, name: str, seconds: Counter[str], part: str) -> None:
    """Count the CPU-seconds in a method."""
    method = getattr(owner, name)

    def wrapper(*arguments: Any, **named: Any) -> Any:
        begun = time.process_time()
        found = method(*arguments, **named)
        seconds[part] += time.process_time() - begun
        return found

    setattr(owner, name, wrapper)


def _part(phase: str, directory: Path, problems: int, tests: int, pages: int) -> dict[str, float]:
    """Figures of one part of a run, in a process of its own: ``run``, ``load``, ``end`` or ``read``."""
    backend = repeated_backend.RepeatedBackend
    if phase == "run":
        repeated_backend.write_problems(backend.recorded, problems, directory / "problems.jsonl")
    run.EvidenceStore = functools.partial(EvidenceStore, max_pages=pages)  # type: ignore[assignment, misc]
    run_problems.MAX_PAGES = pages
    seconds: Counter[str] = Counter()
    _timed(UnitTestGenerator, "records", seconds, "reading")
    _timed(candidates.CandidateGenerator, "record", seconds, "sampling")
    _timed(Assessor, "assess", seconds, "judging")
    _timed(EvidenceStore, "__init__", seconds, "loading")
    _timed(Driver, "_replay", seconds, "loading")
    read = candidates.read_candidate
    known: dict[tuple[str, str], Any] = {}

    def read_once(template: Any, problem: Any, text: str, rule: Any) -> Any:
        key = problem.prompt, text
        if key not in known:
            known[key] = read(template, problem, text, rule)
        return known[key]

    candidates.read_candidate = read_once  # type: ignore[assignment]
    begun, base = time.process_time(), _resident()
    marks: dict[str, float] = {}

    def waited() -> None:
        marks.setdefault("waiting", time.process_time())
        if phase == "load":
            raise _StoppedError

    def watch(status: Any) -> None:
        marks.setdefault(status.name, time.process_time())
        table = status.scheduler.problems
        marks["settled"] = float(
            ((table.closed != Closed.OPEN) | (table.granted >= table.max_tests)).mean()
        )
        if phase == "run" and backend.tests >= _STOPPED_AT * problems * tests:
            raise _StoppedError

    backend.on_wait = staticmethod(waited)
    out = directory / "run"
    try:
        if phase == "run":
            run.start_run(Job.model_validate(_job(directory, problems, tests)), out, watch)
        elif phase == "read":
            _read(out)
        else:
            run.resume_run(out, watch)
    except _StoppedError:
        pass
    ended = time.process_time()
    loop = marks.get("results", ended) - marks.get("preparation", begun) - backend.own_seconds
    return {
        "loop_seconds": loop,
        "bookkeeping_seconds": loop - sum(seconds[part] for part in ("reading", "judging", "sampling")),
        "restart_seconds": marks.get("waiting", begun) - marks.get("preparation", begun),
        "result_seconds": ended - marks.get("results", ended),
        "tests": backend.tests,
        "settled_share": marks.get("settled", 0.0),
        "memory_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base,
        **{f"{name}_seconds": seconds[name] for name in _PARTS},
    }


def _read(directory: Path) -> None:
    """Read a finished run problem by problem, as reports do."""
    for seen in read_trace(directory).problems.values():
        len(seen.tests)


def figures_of(
    problems: int, tests: int, *, whole: bool = True, pages: int = MAX_PAGES
) -> dict[str, float]:
    """Figures of one run.

    Args:
        problems: number of problems.
        tests: tests of each.
        whole: True to end the run and read it; else its results are not written.
        pages: problems whose records stay in memory.

    Returns:
        Figures by name, times in CPU-seconds of one core, amounts in kB.
    """
    with tempfile.TemporaryDirectory(prefix="testbudget-size-") as place:
        directory = Path(place)
        phases = ("run", "load", "end", "read") if whole else ("run", "load")
        parts = {phase: _child(phase, directory, problems, tests, pages) for phase in phases}
        sizes: Counter[str] = Counter()
        for path in (directory / "run").iterdir():
            sizes[path.suffix] += path.stat().st_size / _KB
    first, made = parts["run"], parts["run"]["tests"]
    return {
        "problems": problems,
        "tests": tests,
        "driver_tests_per_second": made / first["bookkeeping_seconds"],
        "loop_tests_per_second": made / first["loop_seconds"],
        "reading_ms_per_test": 1e3 * first["reading_seconds"] / made,
        "judging_ms_per_test": 1e3 * first["judging_seconds"] / made,
        "sampling_ms_per_problem": 1e3 * first["sampling_seconds"] / problems,
        "resident_kb": max(part["memory_kb"] for phase, part in parts.items() if phase != "read"),
        "loop_kb": first["memory_kb"],
        "end_kb": parts["end"]["memory_kb"] if whole else float("nan"),
        "settled_share": first["settled_share"],
        "disk_kb": sum(sizes.values()),
        "log_kb": sizes[".sqlite"],
        "reload_seconds": parts["load"]["loading_seconds"],
        "restart_seconds": parts["load"]["restart_seconds"],
        "result_seconds": parts["end"]["result_seconds"] if whole else float("nan"),
        "read_kb": parts["read"]["memory_kb"] if whole else float("nan"),
    }


@functools.cache
def _prepare() -> None:
    """Read the recorded problems, and name the back end as a plug-in, before the first part is forked."""
    backend = repeated_backend.RepeatedBackend
    backend.recorded = repeated_backend.RecordedProblems()
    folder = Path(tempfile.mkdtemp(prefix="testbudget-size-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    metadata = folder / "repeated-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: repeated\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[testbudget.backends]\nrepeated = repeated_backend:RepeatedBackend\n"
    )
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    _give_back_memory()


def _child(phase: str, directory: Path, problems: int, tests: int, pages: int) -> dict[str, float]:
    """Figures of a part in a process that is forked for it.

    Raises:
        RuntimeError: the process ended without figures.
    """
    _prepare()
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(
        target=_send_figures, args=(theirs, phase, directory, problems, tests, pages), daemon=True
    )
    process.start()
    theirs.close()
    try:
        found: dict[str, float] = ours.recv()
    except EOFError:
        raise RuntimeError(f"the part {phase} of {problems} problems ended without figures") from None
    process.join()
    return found


def _send_figures(
    pipe: Connection, phase: str, directory: Path, problems: int, tests: int, pages: int
) -> None:
    pipe.send(_part(phase, directory, problems, tests, pages))


def size_figures(
    sizes: Sequence[int],
    *,
    whole: int = _WHOLE,
    pages: int = MAX_PAGES,
    end: bool = False,
    show: Callable[[dict[str, float]], None] = lambda _: None,
) -> dict[str, float]:
    """Figures of runs of several sizes, with slopes from the smallest to the largest.

    Args:
        sizes: numbers of problems, ascending, at least two; of runs of few tests each.
        whole: number of problems of a run of 32 tests each, for the speed of the loop and the disk.
        pages: problems whose records stay in memory, fewer than ``sizes``.
        end: True to end all runs and read them, not the last one alone.
        show: called with the figures of each run.
    """
    found = []
    for problems in sizes:
        found.append(figures_of(problems, _FEW_TESTS, whole=end, pages=pages))
        show(found[-1])
    ended = figures_of(whole, _TESTS, pages=pages)
    show(ended)
    least, most = found[0], found[-1]

    def slope(name: str) -> float:
        return (most[name] - least[name]) / (most["problems"] - least["problems"])

    return {
        "driver_tests_per_second": round(ended["driver_tests_per_second"]),
        "loop_tests_per_second": round(ended["loop_tests_per_second"]),
        "reading_ms_per_test": round(ended["reading_ms_per_test"], 3),
        "judging_ms_per_test": round(ended["judging_ms_per_test"], 3),
        "resident_kb_per_problem": round(slope("resident_kb"), 2),
        "disk_kb_per_problem": round(ended["disk_kb"] / ended["problems"], 2),
        "log_kb_per_problem": round(ended["log_kb"] / ended["problems"], 2),
        "reload_seconds_per_1000": round(1e3 * slope("reload_seconds"), 4),
        "restart_seconds_per_1000": round(1e3 * slope("restart_seconds"), 4),
    }


def _show(found: dict[str, float]) -> None:
    print(
        f"{found['problems']:>9,}{found['tests']:>7}{found['driver_tests_per_second']:>13,.0f}"
        f"{found['reading_ms_per_test']:>9.2f}{found['judging_ms_per_test']:>9.2f}"
        f"{found['loop_kb'] / _KB:>9,.0f}{found['end_kb'] / _KB:>9,.0f}{found['read_kb'] / _KB:>9,.0f}"
        f"{found['disk_kb'] / found['problems']:>9.1f}{found['log_kb'] / found['problems']:>9.1f}"
        f"{found['reload_seconds']:>9.2f}{found['result_seconds']:>9.1f}{found['settled_share']:>9.2f}",
        flush=True,
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} problems")
    parser.add_argument("--problems", type=int, nargs="+", help=f"numbers of problems (default: {FULL})")
    parser.add_argument("--whole", type=int, help=f"problems of the run of {_TESTS} tests each")
    parser.add_argument("--end", action="store_true", help="end all runs, not the last one alone")
    given = parser.parse_args()
    print(
        f"{'problems':>9}{'tests':>7}{'bookkeeping':>13}{'reading':>9}{'judging':>9}{'loop':>9}{'end':>9}{'reader':>9}"
        f"{'disk':>9}{'log':>9}{'load':>9}{'results':>9}{'settled':>9}\n"
        f"{'':>9}{'each':>7}{'tests/s':>13}{'ms/test':>9}{'ms/test':>9}{'MB':>9}{'MB':>9}{'MB':>9}"
        f"{'kB each':>9}{'kB each':>9}{'s':>9}{'s':>9}"
    )
    sizes = given.problems or (QUICK if given.quick else FULL)
    whole = given.whole or (_WHOLE_QUICK if given.quick else _WHOLE)
    pages = _PAGES_QUICK if given.quick else MAX_PAGES
    print("\n" + json.dumps(size_figures(sizes, whole=whole, pages=pages, end=given.end, show=_show)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

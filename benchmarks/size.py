"""Runs of many problems on one driver: memory, disk, speed of the loop, and time to load a killed run.

python benchmarks/size.py [--quick] [--problems N ...] [--tests M]

Whole runs with a back end that answers at once with recorded work, 32 candidates a problem. One test is
granted at a time, so that each is decided, generated, executed, told and assessed by itself. Each run is
stopped when nine tenths of its tests are made, loaded again in a new process, ended, and read. Slopes are
between the smallest and the largest run.
The last line is a JSON object with all figures.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

QUICK = (3_000, 10_000)
"""Numbers of problems with ``--quick``."""

FULL = (3_000, 10_000, 30_000)
_TESTS, _TESTS_QUICK = 32, 1
_STOPPED_AT = 0.9  # of all tests
_HERE = Path(__file__).parent
_KB = 1024


class _StoppedError(Exception):
    """End of the first part of a run."""


def _resident() -> float:
    """Resident memory of this process, in kB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / _KB


def _job(directory: Path, problems: int, tests: int) -> dict[str, Any]:
    model = {"name": "none", "gpus": 0}
    return {
        "problems": {"source": str(directory / "problems.jsonl"), "check_ground_truth": False},
        "candidates": {"count": 32, "model": {**model, "template": "completion"}},
        "tests": {"model": {**model, "template": "coderm"}},
        # With a window of its own, a static policy grants test by test.
        "policy": {"name": "uniform", "max_tests": tests, "window": max(problems, 4096)},
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


def _part(phase: str, directory: Path, problems: int, tests: int) -> dict[str, float]:
    """Figures of one part of a run, in a process of its own: ``run``, ``resume`` or ``read``."""
    import repeated_backend

    from testbudget.executors.generation.unit_tests import UnitTestGenerator
    from testbudget.scheduler.assessment import Assessor
    from testbudget.scheduler.job import Job
    from testbudget.scheduler.run import resume_run, start_run
    from testbudget.scheduler.work.candidates import CandidateGenerator

    backend = repeated_backend.RepeatedBackend
    backend.recorded = repeated_backend.RecordedProblems()
    if phase == "run":
        repeated_backend.write_problems(backend.recorded, problems, directory / "problems.jsonl")
    seconds: Counter[str] = Counter()
    _timed(UnitTestGenerator, "records", seconds, "answers")
    _timed(CandidateGenerator, "record", seconds, "candidates")
    _timed(Assessor, "assess", seconds, "assessments")
    begun, base = time.process_time(), _resident()
    marks: dict[str, float] = {}

    def waited() -> None:
        marks.setdefault("loaded", time.process_time())

    def watch(status: Any) -> None:
        marks.setdefault(status.name, time.process_time())
        if phase == "run" and backend.tests >= _STOPPED_AT * problems * tests:
            raise _StoppedError

    backend.on_wait = staticmethod(waited)
    run = directory / "run"
    try:
        if phase == "run":
            start_run(Job.model_validate(_job(directory, problems, tests)), run, watch)
        elif phase == "resume":
            resume_run(run, watch)
        else:
            _read(run)
    except _StoppedError:
        pass
    ended = time.process_time()
    loop = marks.get("results", ended) - marks.get("preparation", begun) - backend.own_seconds
    return {
        "seconds": ended - begun,
        "loop_seconds": loop,
        "bookkeeping_seconds": loop - sum(seconds.values()),
        "load_seconds": marks.get("loaded", begun) - marks.get("preparation", begun),
        "result_seconds": ended - marks.get("results", ended),
        "tests": backend.tests,
        "memory_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base,
        **{f"{name}_seconds": value for name, value in seconds.items()},
    }


def _read(run: Path) -> None:
    """Read a finished run problem by problem, as reports do."""
    from testbudget.traces.tables import read_trace

    for seen in read_trace(run).problems.values():
        len(seen.tests)


def figures_of(problems: int, tests: int) -> dict[str, float]:
    """Figures of one run.

    Args:
        problems: number of problems.
        tests: tests of each.

    Returns:
        Figures by name, times in CPU-seconds of one core, amounts in kB.
    """
    with tempfile.TemporaryDirectory(prefix="testbudget-size-") as place:
        directory = Path(place)
        _install(directory / "installed")
        first, rest, read = (
            _child(phase, directory, problems, tests) for phase in ("run", "resume", "read")
        )
        sizes = {path.suffix: 0.0 for path in (directory / "run").iterdir()}
        for path in (directory / "run").iterdir():
            sizes[path.suffix] += path.stat().st_size / _KB
    disk = sum(sizes.values())
    return {
        "problems": problems,
        "tests": tests,
        "driver_tests_per_second": first["tests"] / first["bookkeeping_seconds"],
        "loop_tests_per_second": first["tests"] / first["loop_seconds"],
        "answers_ms_per_test": 1e3 * first["answers_seconds"] / first["tests"],
        "assessments_ms_per_test": 1e3 * first["assessments_seconds"] / first["tests"],
        "candidates_ms_per_problem": 1e3 * first["candidates_seconds"] / problems,
        "resident_kb": max(first["memory_kb"], rest["memory_kb"]),
        "read_kb": read["memory_kb"],
        "disk_kb": disk,
        "log_kb": sizes.get(".sqlite", 0.0),
        "reload_seconds": rest["load_seconds"],
        "result_seconds": rest["result_seconds"],
    }


def _install(folder: Path) -> None:
    """Name the back end as a plug-in of a distribution, for processes with this folder on their path."""
    metadata = folder / "repeated-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: repeated\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[testbudget.backends]\nrepeated = repeated_backend:RepeatedBackend\n"
    )


def _child(phase: str, directory: Path, problems: int, tests: int) -> dict[str, float]:
    paths = [str(directory / "installed"), str(_HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = subprocess.run(
        [sys.executable, __file__, "--part", phase, str(directory), str(problems), str(tests)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def size_figures(
    sizes: Sequence[int], tests: int, show: Callable[[dict[str, float]], None] = lambda _: None
) -> dict[str, float]:
    """Figures of runs of several sizes, with slopes from the smallest to the largest.

    Args:
        sizes: numbers of problems, ascending, at least two.
        tests: tests of each problem.
        show: called with the figures of each run.
    """
    found = []
    for problems in sizes:
        found.append(figures_of(problems, tests))
        show(found[-1])
    least, most = found[0], found[-1]
    added = most["problems"] - least["problems"]

    def slope(name: str) -> float:
        return (most[name] - least[name]) / added

    return {
        "driver_tests_per_second": round(most["driver_tests_per_second"]),
        "loop_tests_per_second": round(most["loop_tests_per_second"]),
        "resident_kb_per_problem": round(slope("resident_kb"), 2),
        "read_kb_per_problem": round(slope("read_kb"), 2),
        "disk_kb_per_problem": round(slope("disk_kb"), 2),
        "reload_seconds_per_1000": round(1e3 * slope("reload_seconds"), 4),
        "tests_per_problem": tests,
    }


def _show(found: dict[str, float]) -> None:
    print(
        f"{found['problems']:>9,}{found['tests']:>7}{found['driver_tests_per_second']:>13,.0f}"
        f"{found['loop_tests_per_second']:>9,.0f}{found['answers_ms_per_test']:>9.2f}"
        f"{found['assessments_ms_per_test']:>9.2f}{found['resident_kb'] / _KB:>12,.0f}"
        f"{found['read_kb'] / _KB:>9,.0f}{found['disk_kb'] / found['problems']:>9.1f}"
        f"{found['reload_seconds']:>9.2f}{found['result_seconds']:>9.1f}",
        flush=True,
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} problems, {_TESTS_QUICK} tests each")
    parser.add_argument("--problems", type=int, nargs="+", help=f"numbers of problems (default: {FULL})")
    parser.add_argument("--tests", type=int, help=f"tests of each problem (default: {_TESTS})")
    parser.add_argument("--part", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        phase, directory, problems, tests = given.part
        print(json.dumps(_part(phase, Path(directory), int(problems), int(tests))))
        return 0
    print(
        f"{'problems':>9}{'tests':>7}{'bookkeeping':>13}{'loop':>9}{'reading':>9}{'judging':>9}{'resident':>12}"
        f"{'report':>9}{'disk':>9}{'reload':>9}{'results':>9}\n"
        f"{'':>9}{'each':>7}{'tests/s':>13}{'tests/s':>9}{'ms/test':>9}{'ms/test':>9}{'MB':>12}"
        f"{'MB':>9}{'kB each':>9}{'s':>9}{'s':>9}"
    )
    sizes = given.problems or (QUICK if given.quick else FULL)
    tests = given.tests or (_TESTS_QUICK if given.quick else _TESTS)
    print("\n" + json.dumps(size_figures(sizes, tests, _show)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

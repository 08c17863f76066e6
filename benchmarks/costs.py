"""Cost of each test, candidate and pair of a recorded run, and of a larger job at these rates.

    .venv/bin/python benchmarks/costs.py --problems 10000 --tests 8

The GPU-seconds are those of the machine that made the recording. The job is taken to be like the recording:
as long answers, as many distinct programs, as fast programs.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from testbudget.rewards.problem import NOT_RUN

ROOT = Path(__file__).parents[1]
HOUR = 3600


def unit_costs(run: Path, candidates: int) -> dict[str, float]:
    """Mean cost of a test, a candidate and a pair of a recorded run, and distinct programs of a problem.

    Args:
        run: run directory.
        candidates: number of candidates of a problem, from the first, among which programs are counted.
    """
    tests = pq.read_table(run / "tests.parquet", columns=["tokens", "gpu_seconds"])
    written = pq.read_table(
        run / "candidates.parquet", columns=["problem_id", "candidate", "text", "tokens", "gpu_seconds"]
    )
    votes = pq.read_table(run / "votes.parquet", columns=["verdicts", "cpu_seconds"])
    verdicts = votes["verdicts"].combine_chunks().flatten().to_numpy()
    seconds = votes["cpu_seconds"].combine_chunks().flatten().to_numpy()
    rows = zip(*(written[name].to_pylist() for name in ("problem_id", "candidate", "text")), strict=True)
    programs = {(problem, text) for problem, position, text in rows if position < candidates}
    problems = {problem for problem, _ in programs}
    return {
        "tokens_of_a_test": _mean(tests["tokens"]),
        "gpu_seconds_of_a_test": _mean(tests["gpu_seconds"]),
        "tokens_of_a_candidate": _mean(written["tokens"]),
        "gpu_seconds_of_a_candidate": _mean(written["gpu_seconds"]),
        "cpu_seconds_of_a_pair": float(np.nansum(seconds) / np.sum(verdicts != NOT_RUN)),
        "programs_of_a_problem": len(programs) / len(problems),
    }


def job_costs(unit: dict[str, float], problems: int, tests: float, candidates: int) -> dict[str, float]:
    """Cost of a job at these rates: tests and pairs are under its cap, candidates are not.

    Args:
        unit: costs of :func:`unit_costs`.
        problems: number of problems.
        tests: mean number of tests of a problem.
        candidates: number of candidates of a problem.
    """
    number = problems * tests
    pairs = number * unit["programs_of_a_problem"]
    return {
        "tests": number,
        "tokens": number * unit["tokens_of_a_test"],
        "gpu_hours": number * unit["gpu_seconds_of_a_test"] / HOUR,
        "executions": pairs,
        "cpu_hours": pairs * unit["cpu_seconds_of_a_pair"] / HOUR,
        "candidate_tokens": problems * candidates * unit["tokens_of_a_candidate"],
        "candidate_gpu_hours": problems * candidates * unit["gpu_seconds_of_a_candidate"] / HOUR,
    }


def _mean(column: "pq.ChunkedArray") -> float:
    return float(np.nanmean(column.to_numpy()))


def main() -> None:
    """Print both tables, and all figures as JSON in the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=ROOT / "examples" / "humaneval", help="recorded run")
    parser.add_argument("--problems", type=int, default=10_000, help="problems of the job (default: 10000)")
    parser.add_argument("--tests", type=float, default=8, help="mean tests of a problem (default: 8)")
    parser.add_argument("--candidates", type=int, default=16, help="candidates of a problem (default: 16)")
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    asked = parser.parse_args()
    unit = unit_costs(asked.run, asked.candidates)
    job = job_costs(unit, asked.problems, asked.tests, asked.candidates)
    for figures in (unit, job):
        for name, value in figures.items():
            digits = ".4g" if value < 100 else ".0f"
            print(f"{name.replace('_', ' '):<28}{value:>16,{digits}}")
        print()
    print(json.dumps({"unit": unit, "job": job}))


if __name__ == "__main__":
    main()

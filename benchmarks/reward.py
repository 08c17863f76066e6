"""Completions judged per second: the reward function beside a bare subprocess per completion, in one run.

python benchmarks/reward.py [--quick]

A batch is what a trainer hands over in one step: some completions for each of several problems of the
recorded run of HumanEval, with its recorded tests, all texts new to the reward function. A share of the
completions loops. The bare way is what training scripts often do: a fresh interpreter per completion that
runs it with its tests, without protection, as many at once as there are workers, with the same limit in
wall time. The first call of the reward function, which starts its workers, is timed apart. The same batch
again shows the cache. At last a server of this machine answers at once with the recorded tests, and the
reward function with a model has them written for each group, in a run for each batch. The last line is a
JSON object with all figures.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from recorded_blocks import recorded_problems

import testbudget

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.openai_server import openai_server

LIMITS = testbudget.TestLimits(cpu_seconds=1.0, max_timeouts=1)
LOOPING = 0.05
LOOP = "\n\nwhile True:\n    pass\n"


class Batch(NamedTuple):
    """Columns of one training step."""

    prompts: list[str]
    completions: list[str]
    tests: list[dict[str, Any]]
    entry_points: list[str | None]


def batches(count: int, problems: int, completions: int, tests: int) -> list[Batch]:
    """Batches of new texts: a comment makes each completion different from every other."""
    made = []
    found = [one for one in recorded_problems() if len(one.tests) >= tests]
    for number in range(count):
        batch = Batch([], [], [], [])
        for offset in range(problems):
            problem = found[(number * problems + offset) % len(found)]
            rows = [index % len(problem.programs) for index in range(completions)]
            block = problem.block(rows, range(tests))
            for code in block.candidates:
                position = len(batch.completions)
                loops = LOOP if position % round(1 / LOOPING) == 1 else ""
                batch.prompts.append(problem.candidates.problem.prompt)
                batch.completions.append(f"```python\n# {number}-{position}\n{code}{loops}\n```")
                batch.tests.append({"kind": "unittest", "tests": [test.code for test in block.tests]})
                batch.entry_points.append(block.entry_point)
        made.append(batch)
    return made


def bare_rewards(batch: Batch, workers: int) -> list[float]:
    """Rewards by a fresh interpreter per completion, without protection."""

    def one(position: int) -> float:
        code = batch.completions[position].removeprefix("```python\n").removesuffix("\n```")
        program = "\n".join([code, *batch.tests[position]["tests"], "import unittest", "unittest.main()"])
        try:
            ended = subprocess.run(
                [sys.executable, "-I", "-c", program],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LIMITS.cpu_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return 0.0
        return float(ended.returncode == 0)

    with ThreadPoolExecutor(workers) as pool:
        return [*pool.map(one, range(len(batch.completions)))]


def written_seconds(made: list[Batch], workers: int) -> tuple[list[float], int]:
    """Seconds of each batch if a model writes its tests, and the number of rewards that are missing."""
    tests = {
        name: test
        for batch in made
        for name, test in zip(batch.entry_points, (one["tests"] for one in batch.tests), strict=True)
    }

    def answer(prompt: str, seed: int) -> str:
        name = next(name for name in tests if f"def {name}(" in prompt)
        return f"```python\n{tests[name][seed % len(tests[name])]}\n```"

    seconds, missing = [], 0
    with openai_server() as server:
        server.answer = answer
        model = {"name": "tiny", "base_url": server.url, "template": "coderm"}
        reward = testbudget.reward_function(model=model, cap={"tests": 3}, limits=LIMITS, runners=workers)
        for batch in made:
            start = time.perf_counter()
            rewards = reward(batch.prompts, batch.completions, entry_point=batch.entry_points)
            seconds.append(time.perf_counter() - start)
            missing += rewards.count(None)
    return seconds, missing


def main(*, quick: bool) -> None:
    """Time both ways on the same batches, in turns."""
    rounds, problems, completions, tests = (3, 4, 8, 3) if quick else (8, 8, 16, 3)
    workers = len(os.sched_getaffinity(0))
    reward = testbudget.reward_function(value="all", limits=LIMITS, runners=workers)

    def rewards(batch: Batch) -> list[float | None]:
        return reward(batch.prompts, batch.completions, tests=batch.tests, entry_point=batch.entry_points)

    start = time.perf_counter()
    rewards(Batch(["p"], ["def f(): return 1"], [{"kind": "assert", "tests": ["assert f() == 1"]}], ["f"]))
    first = time.perf_counter() - start
    ours, bare, again, agree, missing = [], [], [], 0, 0
    for batch in batches(rounds, problems, completions, tests):
        start = time.perf_counter()
        found = rewards(batch)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        expected = bare_rewards(batch, workers)
        bare.append(time.perf_counter() - start)
        start = time.perf_counter()
        rewards(batch)
        again.append(time.perf_counter() - start)
        missing += found.count(None)
        agree += sum(one == other for one, other in zip(found, expected, strict=True))
    written, unwritten = written_seconds(batches(2, problems, completions, tests), workers)
    size = problems * completions
    figures = {
        "completions_per_batch": size,
        "tests_per_completion": tests,
        "looping_share": LOOPING,
        "workers": workers,
        "first_call_seconds": round(first, 2),
        "completions_per_second": round(size / statistics.median(ours), 1),
        "bare_completions_per_second": round(size / statistics.median(bare), 1),
        "cached_completions_per_second": round(size / statistics.median(again), 1),
        "times_as_fast": round(statistics.median(b / o for o, b in zip(ours, bare, strict=True)), 2),
        "equal_rewards": round(agree / (size * rounds), 4),
        "without_verdict": missing,
        "written_completions_per_second": round(size / statistics.median(written), 1),
        "written_without_verdict": unwritten,
    }
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):32}{value:>10}")
    print(json.dumps(figures))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three small batches (under a minute)")
    main(quick=parser.parse_args().quick)

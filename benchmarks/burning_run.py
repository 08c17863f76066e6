"""A recorded run whose programs burn CPU time: loops of 0.1 to 2 CPU-seconds for each pair."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from testbudget.traces.problems import load_problems
from testbudget.traces.records import (
    CandidateRecord,
    DistinctPrograms,
    TestRecord,
    TestStatus,
    VerdictRecord,
)
from testbudget.traces.tables import write_trace
from testbudget.traces.trace import ProblemTrace, Trace

TESTS, FACTORS = 4, (0.25, 0.5, 1.0, 1.5)
_SHORTEST, _LONGEST = 0.4, 1.3  # seconds of a test on a program with factor 1
_CALIBRATION_LOOPS = 2_000_000

_PROMPT = 'def burn_{k}(loops):\n    """Burns CPU time."""\n'
_PROGRAM = (
    "    total = 0\n    for step in range(int(loops * {factor})):\n"
    "        total += step * step % 7\n    return {sign}total\n"
)
_TEST = """\
```python
import unittest

class Test(unittest.TestCase):
    def test_sign(self):
        self.assertGreater(burn_{k}({loops}), 0)
```
"""


@dataclass(frozen=True, slots=True)
class BurningRun:
    """A finished run on disk.

    Attributes:
        directory: run directory.
        problems_file: JSONL file of its problems, which have no ground truth.
        needed: CPU-seconds of the loops of all pairs, by the calibration.
    """

    directory: Path
    problems_file: Path
    needed: float


def loops_per_second() -> float:
    """Speed of the loops of the programs on this machine, per CPU-second."""
    total, before = 0, time.thread_time()
    for step in range(_CALIBRATION_LOOPS):
        total += step * step % 7
    return _CALIBRATION_LOOPS / (time.thread_time() - before)


def write_burning_run(folder: Path, problems: int, seed: int) -> BurningRun:
    """Write the run: every test once, half of the programs wrong, verdicts never read.

    Args:
        folder: existing folder for the run and its problems.
        problems: number of problems.
        seed: of the lengths of the loops.
    """
    file = folder / "problems.jsonl"
    lines = [
        {"id": f"burn/{k}", "prompt": _PROMPT.format(k=k), "entry_point": f"burn_{k}"}
        for k in range(problems)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    seconds = np.random.default_rng(seed).uniform(_SHORTEST, _LONGEST, (problems, TESTS))
    loops = (seconds * loops_per_second()).astype(int).tolist()
    candidates = [
        CandidateRecord(_PROGRAM.format(factor=factor, sign="-" if position % 2 else ""), True, 10, 0.1)
        for position, factor in enumerate(FACTORS)
    ]
    programs = len(DistinctPrograms.among(candidates).representatives)
    nothing = VerdictRecord(
        np.zeros(programs, np.uint8), np.ones(programs, np.float32), np.zeros(programs, np.bool_)
    )
    directory = folder / "run"
    directory.mkdir()
    traces = {
        problem.id: ProblemTrace(
            problem.content_hash,
            float("nan"),
            candidates,
            None,
            {
                index: TestRecord(TestStatus.USABLE, _TEST.format(k=k, loops=of_test), index, 40, 0.5)
                for index, of_test in enumerate(loops[k])
            },
            dict.fromkeys(range(TESTS), nothing),
        )
        for k, problem in enumerate(load_problems(str(file)))
    }
    write_trace(Trace(directory, traces, None, str(file)))
    return BurningRun(directory, file, float(seconds.sum()) * sum(FACTORS))

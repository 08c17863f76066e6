"""Finished runs written by hand, with the verdicts that their tests have when executed."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from testbudget.rewards.outputs import CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.problem import Problem, Verdict
from testbudget.traces.hidden_states import HiddenStates, Provenance
from testbudget.traces.output_tables import write_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.records import (
    CandidateRecord,
    Cost,
    DistinctPrograms,
    TestRecord,
    TestStatus,
    VerdictRecord,
)
from testbudget.traces.tables import write_trace
from testbudget.traces.trace import ProblemTrace, Trace

# Each problem asks for x times k. Expressions in k, their values, and their labels.
PROGRAMS = (
    ("x * {k}", lambda x, k: x * k, True),
    ("x + {k}", lambda x, k: x + k, False),
    ("{k} * x", lambda x, k: k * x, True),
    ("x + {k}", lambda x, k: x + k, False),
    ("x ** {k}", lambda x, k: x**k, False),
)
POINTS = (0, 1, 2, 3, 0, 5, -1, 4)  # one test each; the fifth repeats the first
PROVENANCE = Provenance("policy-model", "ab" * 32, 4, "transformers", "bfloat16")
UNUSABLE = 6  # the answer for this test was cut off before any code


@dataclass(frozen=True)
class Recorded:
    """A finished run.

    Attributes:
        directory: run directory.
        problems_file: JSONL file of the problems.
        problems: the problems.
    """

    directory: Path
    problems_file: Path
    problems: list[Problem]

    def job(self, **fields):
        """A job that reads the run, with fields added or replaced."""
        run = str(self.directory)
        return {
            "problems": {"source": str(self.problems_file)},
            "candidates": {"from_run": run},
            "tests": {"from_run": run},
            "policy": {"name": "uniform"},
            "cap": {"tests": 12},
            "backend": "recorded",
        } | fields

    def write_job(self, path: Path, **fields) -> Path:
        """Write such a job to a file."""
        path.write_text(yaml.safe_dump(self.job(**fields)), encoding="utf-8")
        return path


def answer(problem: Problem, k: int, index: int) -> str:
    """The reward model's answer for test ``index``."""
    if index == UNUSABLE:
        return "The function should be tested with negative numbers, for"
    x = POINTS[index]
    return (
        "Here is a test.\n```python\nimport unittest\n\n"
        f"class Test{k}(unittest.TestCase):\n    def test_value(self):\n"
        f"        self.assertEqual({problem.entry_point}({x}), {x * k})\n```\n"
    )


def status(index: int) -> TestStatus:
    """Status of test ``index``."""
    if index == UNUSABLE:
        return TestStatus.UNUSABLE
    return TestStatus.DUPLICATE if POINTS[index] in POINTS[:index] else TestStatus.USABLE


def recorded_outputs(problem: Problem, k: int) -> RecordedOutputs:
    """Outputs of the four distinct programs on the one call of each usable test."""
    programs = [compute for _, compute, _ in (*PROGRAMS[:3], PROGRAMS[4])]
    tests = [index for index in range(len(POINTS)) if status(index) is TestStatus.USABLE]
    values = [[compute(POINTS[index], k) for index in tests] for compute in programs]
    distinct = sorted({value for row in values for value in row})
    inputs = [
        RecordedCall(i, problem.entry_point, f"[[{POINTS[i]}], {{}}]", POINTS[i] % 2**64) for i in tests
    ]
    outputs = [
        CallResult(CallEnding.RETURNED, int(1000 * value) % 2**64, repr(value)) for value in distinct
    ]
    results = [[distinct.index(value) for value in row] for row in values]
    return RecordedOutputs(tuple(inputs), tuple(outputs), np.array(results, np.int32))


def write_recorded(folder: Path) -> Recorded:
    """A run of five problems with five candidates and eight tests each, two of which have no vote."""
    multipliers = (2, 3, 4, 5, 6)
    rows = [
        {
            "id": f"times/{k}",
            "prompt": f'def times_{k}(x):\n    """Returns x times {k}."""\n',
            "entry_point": f"times_{k}",
            "ground_truth": f"assert times_{k}(7) == {7 * k} and times_{k}(-3) == {-3 * k}\n",
        }
        for k in multipliers
    ]
    problems_file = folder / "problems.jsonl"
    problems_file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    problems = load_problems(str(problems_file))
    directory = folder / "run"
    directory.mkdir()
    seen = {problem.id: _seen(problem, k) for problem, k in zip(problems, multipliers, strict=True)}
    states = np.random.default_rng(0).normal(size=(len(problems), 2, 8)).astype(np.float16)
    truncated = np.array([False, True, False, False, False])
    write_trace(Trace(directory, seen, HiddenStates((2, 4), states, truncated, PROVENANCE)))
    write_outputs(
        (
            (problem.id, recorded_outputs(problem, k))
            for problem, k in zip(problems, multipliers, strict=True)
        ),
        directory,
    )
    return Recorded(directory, problems_file, problems)


def _seen(problem: Problem, k: int) -> ProblemTrace:
    candidates = [
        CandidateRecord(f"    return {code.format(k=k)}\n", True, 5, 0.25) for code, _, _ in PROGRAMS
    ]
    distinct = DistinctPrograms.among(candidates)
    tests = {
        index: TestRecord(status(index), answer(problem, k, index), index, 40 + index, 0.5)
        for index in range(len(POINTS))
    }
    verdicts = {}
    for index, x in enumerate(POINTS):
        if status(index) is TestStatus.USABLE:
            passed = np.array([PROGRAMS[i][1](x, k) == x * k for i in distinct.representatives])
            row = np.where(passed, Verdict.PASSED, Verdict.FAILED).astype(np.uint8)
            cpu_seconds = np.full(len(row), 0.001, dtype=np.float32)
            verdicts[index] = VerdictRecord(row, cpu_seconds, np.zeros(len(row), np.bool_))
    correct = np.array([label for _, _, label in PROGRAMS])
    extraction = Cost(cpu_seconds=0.125)
    return ProblemTrace(
        problem.content_hash, float("nan"), candidates, correct, tests, verdicts, extraction
    )


def write_learnable(folder: Path, name: str, *, problems: int, seed: int) -> Recorded:
    """A run whose hidden states give the pass rates with some noise, in their first layer only."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "id": f"{name}/{number}",
            "prompt": f"def f{number}(x):\n    # {name}\n",
            "entry_point": f"f{number}",
        }
        for number in range(problems)
    ]
    problems_file = folder / f"{name}.jsonl"
    problems_file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    loaded = load_problems(str(problems_file))
    directory = folder / name
    directory.mkdir()
    rates = rng.uniform(size=problems)
    candidates, tests = 10, 4
    seen = {}
    for problem, rate in zip(loaded, rates, strict=True):
        correct = rng.uniform(size=candidates) < rate
        passed = rng.uniform(size=(tests, candidates)) < np.where(correct, 0.8, 0.3)
        seen[problem.id] = ProblemTrace(
            problem.content_hash,
            float("nan"),
            [CandidateRecord(f"    return {index}\n", True, 5, 0.25) for index in range(candidates)],
            correct,
            {i: TestRecord(TestStatus.USABLE, f"assert {i}", i, 40, 0.5) for i in range(tests)},
            {
                index: VerdictRecord(
                    np.where(row, Verdict.PASSED, Verdict.FAILED).astype(np.uint8),
                    np.full(candidates, 0.001, np.float32),
                    np.zeros(candidates, np.bool_),
                )
                for index, row in enumerate(passed)
            },
        )
    noise = rng.normal(size=(problems, 2, 6))
    noise[:, 0, :3] = 4 * rates[:, None] + 0.3 * noise[:, 0, :3]
    states = HiddenStates((2, 4), noise.astype(np.float16), None, PROVENANCE)
    write_trace(Trace(directory, seen, states, str(problems_file)))
    run = {"from_run": str(directory)}
    job = {"problems": {"source": str(problems_file)}, "candidates": run, "tests": run, "cap": {"tests": 1}}
    (directory / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    return Recorded(directory, problems_file, loaded)

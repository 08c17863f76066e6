"""A small finished run with random votes: enough problems to fit on, and tests of every status."""

import json
from pathlib import Path

import numpy as np

from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.traces.hidden_states import HiddenStates, Provenance
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

PROBLEMS, CANDIDATES, TESTS = 15, 6, 9
REPEATS, UNUSABLE = {4: 1}, 6  # test 4 repeats test 1; the answer of test 6 holds no code


def write_voted(folder: Path) -> Path:
    """Write the run to a folder, beside ``problems.jsonl``, and return its directory."""
    lines = [
        {"id": f"p/{k}", "prompt": f'def p{k}(x):\n    """Number {k}."""\n', "entry_point": f"p{k}"}
        for k in range(PROBLEMS)
    ]
    file = folder / "problems.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    rng = np.random.default_rng(5)
    seen = {
        problem.id: _seen(k, problem.content_hash, rng)
        for k, problem in enumerate(load_problems(str(file)))
    }
    rates = np.array([problem.correct.mean() for problem in seen.values()])
    states = rng.normal(size=(PROBLEMS, 1, 8)) + 2 * rates[:, np.newaxis, np.newaxis]
    directory = folder / "run"
    directory.mkdir()
    provenance = Provenance("policy-model", "ab" * 32, 6, "transformers", "bfloat16")
    hidden_states = HiddenStates((3,), states.astype(np.float16), provenance=provenance)
    write_trace(Trace(directory, seen, hidden_states))
    return directory


def _seen(k: int, content_hash: str, rng: np.random.Generator) -> ProblemTrace:
    # The last candidate is the same program as the first.
    texts = [f"    return {i % (CANDIDATES - 1)}\n" for i in range(CANDIDATES)]
    candidates = [CandidateRecord(text, True, 3, 0.5) for text in texts]
    distinct = DistinctPrograms.among(candidates)
    correct = rng.random(CANDIDATES - 1) < k / PROBLEMS
    tests, verdicts = {}, {}
    for index in range(TESTS):
        status = TestStatus.DUPLICATE if index in REPEATS else TestStatus.USABLE
        text = _test(k, REPEATS.get(index, index))
        if index == UNUSABLE:
            status, text = TestStatus.UNUSABLE, "I cannot think of a test."
        tests[index] = TestRecord(status, text, index, 10 + index, 0.25)
        if status is TestStatus.USABLE:
            passed = rng.random(CANDIDATES - 1) < np.where(correct, 0.7, 0.4)
            row = np.where(passed, Verdict.PASSED, Verdict.FAILED).astype(np.uint8)
            row[rng.random(CANDIDATES - 1) < 0.05] = NOT_RUN
            seconds = np.where(row == NOT_RUN, 0, 0.25).astype(np.float32)
            verdicts[index] = VerdictRecord(row, seconds, np.zeros(CANDIDATES - 1, np.bool_))
    return ProblemTrace(content_hash, float("nan"), candidates, correct[distinct.inverse], tests, verdicts)


def _test(k: int, value: int) -> str:
    return (
        "```python\nimport unittest\n\nclass TestIt(unittest.TestCase):\n    def test_value(self):\n"
        f"        self.assertEqual(p{k}({value}), {value})\n```\n"
    )

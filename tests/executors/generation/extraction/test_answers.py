"""Unit tests of every style in answers of models: read, and then run on a right and a wrong candidate."""

import json
from pathlib import Path

import pytest

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.executors.generation.extraction.extract import extract_unit_test
from testbudget.rewards.problem import UnitTest, Verdict

RIGHT, WRONG = "def double(x):\n    return 2 * x\n", "def double(x):\n    return 3 * x + 1\n"
LINES = (Path(__file__).parent / "unit_tests_of_every_style.jsonl").read_text(encoding="utf-8").splitlines()
ROWS = [pytest.param(row, id=row["id"]) for row in map(json.loads, LINES)]


@pytest.fixture(scope="module")
def runner():
    with Runner(TestLimits()) as opened:
        yield opened


@pytest.mark.parametrize("row", ROWS)
def test_a_test_of_any_style_tells_right_from_wrong(row, runner):
    read = extract_unit_test(f"Here it is:\n```python\n{row['answer']}```\nDone.", "double")
    assert read.kind == row["kind"]
    assert read == extract_unit_test(row["answer"], "double")
    block = runner.run([RIGHT, WRONG], [UnitTest("", 0, read.code, kind=read.kind)], "double")
    right, wrong = block.verdicts[:, 0].tolist()
    assert right == Verdict.PASSED, block.reasons[block.reason_of[0, 0]]
    assert wrong != Verdict.PASSED

"""Verdicts, reasons and outputs depend on no load, no order of the pairs and no shape of the blocks.

A thousand pairs are judged in three orders and shapes. That with the smallest blocks is judged beside ten
busy processes.
"""

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from testbudget.executors.execution.runner import Runner
from testbudget.rewards.outputs import NO_RESULT
from testbudget.rewards.problem import Verdict

from .repeatable_problems import LIMITS, NEAR_LIMITS, RepeatableProblem, written_problems

BUSY_PROCESSES = 10
RECORDED_PROBLEMS, RECORDED_CANDIDATES, RECORDED_TESTS = 5, 16, 8
SHAPES = {"whole": (1000, 1000), "small": (5, 3), "single": (1, 4)}
"""Candidates and tests of a block, by name of an order."""

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def problems():
    """The written problems, and some of the recorded ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import recorded_blocks

        random = np.random.default_rng(0)
        recorded = [
            recorded_blocks.mixed_block(problem, random, RECORDED_CANDIDATES, RECORDED_TESTS)
            for problem in recorded_blocks.recorded_problems()
        ]
    blocks = [block for block in recorded if block is not None]
    return written_problems() + [
        RepeatableProblem(
            f"recorded {number}",
            block.entry_point,
            tuple(dict.fromkeys(block.candidates)),
            tuple({test.code: test for test in block.tests}.values()),
        )
        for number, block in enumerate(blocks[:: len(blocks) // RECORDED_PROBLEMS])
    ]


@contextlib.contextmanager
def busy_machine(processes):
    """Processes at work beside ours, with the same priority."""
    with contextlib.ExitStack() as stack:
        for _ in range(processes):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy.kill)
        yield


def blocks_of(problems, order):
    """Positions of the pairs of each block: problem, candidates and tests."""
    random = np.random.default_rng(sum(map(ord, order)))
    height, width = SHAPES[order]
    blocks = []
    for number, problem in enumerate(problems):
        rows, columns = np.arange(len(problem.candidates)), np.arange(len(problem.tests))
        if order != "whole":
            rows, columns = random.permutation(rows), random.permutation(columns)
        blocks += [
            (number, rows[row : row + height].tolist(), columns[column : column + width].tolist())
            for row in range(0, len(rows), height)
            for column in range(0, len(columns), width)
        ]
    return blocks if order == "whole" else [blocks[place] for place in random.permutation(len(blocks))]


def judge(runner, problems, order):
    """Verdict, reason and outputs of each pair; None if it was cut off early."""
    found = {}
    for number, rows, columns in blocks_of(problems, order):
        problem = problems[number]
        tests = [problem.tests[column] for column in columns]
        judged = runner.run([problem.candidates[row] for row in rows], tests, problem.entry_point)
        outputs = judged.recorded_outputs
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                calls = {
                    (call.function, call.arguments): (output.ending, output.digest)
                    for call, result in zip(outputs.inputs, outputs.results[i], strict=True)
                    if call.test == tests[j].index and result != NO_RESULT
                    for output in [outputs.outputs[result]]
                }
                reason = judged.reasons[judged.reason_of[i, j]]
                known = (Verdict(judged.verdicts[i, j]).name, reason, calls)
                found[problem.name, row, column] = None if judged.cut_at[i, j] else known
    return found


@pytest.fixture(scope="module")
def usual(problems):
    """Verdicts, reasons and outputs in whole blocks on an idle machine."""
    with Runner(LIMITS) as runner:
        return judge(runner, problems, "whole")


def test_the_corpus_is_large_and_varied(problems, usual):
    assert sum(problem.pairs for problem in problems) == len(usual) >= 1000
    names = {known[0] for known in usual.values() if known is not None}
    assert names >= {"PASSED", "FAILED", "ERRORED", "TIMED_OUT", "OUT_OF_MEMORY", "KILLED"}


def test_programs_near_their_limit_are_run_to_it(usual):
    names = [usual["near limits", row, column][0] for column in range(2) for row in range(len(NEAR_LIMITS))]
    assert names == 2 * (["PASSED"] * (len(NEAR_LIMITS) - 1) + ["TIMED_OUT"])


@pytest.mark.parametrize(("order", "processes"), [("small", 0), ("single", BUSY_PROCESSES)])
def test_verdicts_reasons_and_outputs_are_the_same(problems, usual, order, processes):
    with busy_machine(processes), Runner(LIMITS) as runner:
        found = judge(runner, problems, order)
    assert found.keys() == usual.keys()
    both = [pair for pair in usual if usual[pair] is not None and found[pair] is not None]
    assert {pair: found[pair] for pair in both} == {pair: usual[pair] for pair in both}
    assert len(both) >= 0.98 * len(usual)

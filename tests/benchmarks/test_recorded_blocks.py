"""Blocks hold recorded candidates and tests."""

import numpy as np


def test_blocks_come_from_the_recorded_run_and_the_passing_ones_pass(script):
    recorded_blocks = script("recorded_blocks")
    problems = recorded_blocks.recorded_problems()
    random = np.random.default_rng(0)
    block = recorded_blocks.random_block(problems[0], random, 200, 3)
    assert (len(block.candidates), len(block.tests)) == (200, 3)
    chosen = (recorded_blocks.passing_block(problem, random, 16, 2) for problem in problems)
    problem, block = next((p, b) for p, b in zip(problems, chosen, strict=True) if b is not None)
    columns = np.searchsorted(problem.tests, [test.index for test in block.tests])
    codes = [problem.candidates.programs[program].code for program in problem.programs]
    rows = [codes.index(candidate) for candidate in block.candidates]
    passed = problem.passed[np.ix_(rows, columns)].mean(axis=0)
    assert (passed >= recorded_blocks.MOSTLY_PASSED).all()

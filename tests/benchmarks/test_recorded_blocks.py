"""Blocks hold recorded candidates and tests."""

import numpy as np


def test_blocks_come_from_the_recorded_run_and_the_passing_ones_pass(script):
    recorded_blocks = script("recorded_blocks")
    problems = recorded_blocks.recorded_problems()
    random = np.random.default_rng(0)
    block = next(recorded_blocks.recorded_blocks(problems, recorded_blocks.random_pairs, random))
    assert block.candidates
    assert 0 < len(block.tests) <= recorded_blocks.TESTS_PER_BLOCK
    by_entry_point = {problem.candidates.problem.entry_point: problem for problem in problems}
    block = next(recorded_blocks.recorded_blocks(problems, recorded_blocks.passing_pairs, random))
    problem = by_entry_point[block.entry_point]
    columns = np.searchsorted(problem.tests, [test.index for test in block.tests])
    codes = [problem.candidates.programs[program].code for program in problem.programs]
    rows = [codes.index(candidate) for candidate in block.candidates]
    passed = problem.passed[np.ix_(rows, columns)].mean(axis=0)
    assert (passed >= recorded_blocks.MOSTLY_PASSED).all()

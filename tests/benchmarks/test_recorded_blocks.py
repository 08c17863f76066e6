"""Blocks hold recorded candidates, and tests of which half are good ones."""

import numpy as np


def test_half_of_the_tests_of_a_block_are_passed_by_most_good_candidates(script):
    recorded_blocks = script("recorded_blocks")
    problems = recorded_blocks.recorded_problems()
    random = np.random.default_rng(0)
    found = 0
    for problem in problems[:20]:
        block = recorded_blocks.mixed_block(problem, random, 200, 8)
        if block is None:
            continue
        found += 1
        assert (len(block.candidates), len(block.tests)) == (200, 8)
        columns = np.searchsorted(problem.tests, [test.index for test in block.tests])
        order = np.argsort(-problem.passed.mean(axis=1), kind="stable")
        better = order[: (len(order) + 1) // 2]
        passed = problem.passed[np.ix_(better, columns)].mean(axis=0)
        assert (passed >= recorded_blocks.MOSTLY_PASSED).sum() >= 4
    assert found > 5

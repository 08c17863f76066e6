"""Every method is timed on the same pairs."""

import contextlib

import numpy as np

from testbudget.rewards.problem import UnitTest

from .programs import CORRECT, TEST, WRONG


def test_all_methods_are_timed_on_the_pairs_that_end_normally(script):
    recorded_blocks, runner = script("recorded_blocks"), script("runner")
    programs = (CORRECT, "import os\nos._exit(0)", WRONG)
    block = recorded_blocks.RecordedBlock("double", programs, (UnitTest("p", 0, TEST),))
    with contextlib.ExitStack() as stack:
        pair_set = runner.RunnerComparison(stack).compare("some", [block, block], np.random.default_rng(0))
    assert pair_set.verdicts == {"passed": 2, "failed": 2}
    for totals in pair_set.totals.values():
        assert (totals.pairs, totals.same) == (4, 4)
        assert totals.rate > 0

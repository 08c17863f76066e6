"""Every method is timed on the same pairs, and gives the same verdicts."""

import contextlib

import numpy as np
import pytest


@pytest.fixture(scope="module")
def comparison(script):
    """All methods, on a few recorded problems."""
    random = np.random.default_rng(0)
    problems = script("recorded_blocks").recorded_problems()[:3]
    source = script("block_shapes").BlockSource(problems, random)
    with contextlib.ExitStack() as stack:
        yield script("runner").RunnerComparison(stack, source, random)


@pytest.mark.parametrize("objects", [False, True])
def test_all_methods_are_timed_and_agree(script, comparison, objects):
    shape = script("block_shapes").BlockShape(4, 10, objects)
    figures = comparison.compare(shape, 1)
    assert figures.ours.pairs == figures.verdicts.total() == 4 * 20
    assert figures.agreeing > 0 == figures.only_ours == figures.only_theirs
    assert all(figures.times(method) > 0 for method in script("runner").METHODS)


def test_a_looping_pair_costs_other_methods_their_limit(script, comparison):
    shape = script("block_shapes").BlockShape(10, 20, looping=0.05)
    figures = comparison.compare(shape, 1)
    assert figures.looping_pairs == 20
    assert figures.rate("coderm") < 200 / 20


def test_the_overhead_of_a_block_is_measured(comparison):
    on_the_clock, cpu = comparison.block_overhead(3)
    assert on_the_clock > 0 < cpu

"""Which problems are held out."""

import numpy as np
import pytest

from testbudget.analysis.tune.space import split_held_out
from testbudget.rewards.errors import UserError

HASHES = [f"{number:064x}" for number in range(40)]


def test_the_share_that_was_asked_for_is_held_out_and_nothing_is_lost():
    training, held_out = split_held_out(HASHES, 0.3, 0)
    assert len(held_out) == 12
    assert sorted([*training, *held_out]) == list(range(40))


def test_what_becomes_of_a_problem_does_not_hang_on_its_place():
    shuffled = [HASHES[position] for position in np.random.default_rng(0).permutation(40)]
    before, after = split_held_out(HASHES, 0.3, 0)[1], split_held_out(shuffled, 0.3, 0)[1]
    assert {HASHES[position] for position in before} == {shuffled[position] for position in after}


def test_another_seed_holds_out_others():
    assert set(split_held_out(HASHES, 0.3, 0)[1]) != set(split_held_out(HASHES, 0.3, 1)[1])


def test_equal_texts_are_on_one_side():
    training, held_out = split_held_out(HASHES + HASHES, 0.5, 0)
    assert {position % 40 for position in training}.isdisjoint(position % 40 for position in held_out)


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_side_of_fewer_than_two_problems_is_refused(share):
    with pytest.raises(UserError, match="at least 2 problems on either side"):
        split_held_out(HASHES, share, 0)

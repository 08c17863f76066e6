"""Mistakes of several rows."""

import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.rows.mistakes import Mistakes


@pytest.mark.parametrize("place", ["a b.jsonl:{}", "a b.parquet row {}"])
def test_mistakes_are_told_in_the_order_of_their_rows(place):
    mistakes = Mistakes()
    for line in (10, 9, 2):
        mistakes.add(f"{place.format(line)} is wrong")
    with pytest.raises(UserError) as error:
        mistakes.refuse()
    assert str(error.value).splitlines() == [f"{place.format(line)} is wrong" for line in (2, 9, 10)]


def test_five_mistakes_are_told_and_the_others_are_counted():
    mistakes = Mistakes()
    for line in range(1, 9):
        mistakes.add(f"f:{line} is wrong")
    with pytest.raises(UserError, match=r"f:5 is wrong\nand 3 more mistakes$"):
        mistakes.refuse()

"""Place of written inputs among a problem's tests, by their price."""

import pytest

from testbudget.policies.written_inputs import WORTH, place_of_inputs


def test_inputs_are_written_after_the_first_test_if_they_cost_as_much():
    assert place_of_inputs(1.0) == 1


@pytest.mark.parametrize("price", [0.0, 0.5, 0.95, 1.05, 1.1])
def test_inputs_come_as_soon_as_they_are_worth_their_price(price):
    tests = place_of_inputs(price)
    assert WORTH[tests] >= price
    assert all(worth < price for worth in WORTH[:tests])


def test_inputs_that_are_never_worth_their_price_are_not_written():
    assert place_of_inputs(max(WORTH) + 0.01) is None

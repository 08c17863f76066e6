"""Several drivers: shares add up to the slice, follow the demand, and no driver passes its share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


@given(data=st.data())
def test_shares_add_up_and_are_not_negative(script, data):
    shards = script("shards")
    drivers = data.draw(st.integers(1, 5))
    falling = st.lists(st.integers(0, 40), min_size=4, max_size=4).map(
        lambda one: sorted(one, reverse=True)
    )
    demands = [np.array(data.draw(falling)) for _ in range(drivers)]
    slice_ = data.draw(st.integers(0, 100))
    shares = shards.shares_at_one_price(demands, slice_)
    assert sum(shares) == slice_
    assert min(shares) >= 0


@pytest.mark.parametrize("slice_", [0, 1, 7, 30, 59, 60, 100])
def test_a_slice_is_shared_by_what_drivers_take_at_the_price_at_which_they_take_it_all(script, slice_):
    demands = [np.array([40, 20, 10, 0]), np.array([20, 10, 0, 0])]
    shares = script("shards").shares_at_one_price(demands, slice_)
    assert sum(shares) == slice_
    if 0 < slice_ <= 60:
        assert shares[0] >= shares[1]
    if slice_ == 30:
        assert shares == [20, 10]


def problems_of(shards, accuracy, p_wrong):
    estimates = shards.PickEstimates(p_wrong, np.full(p_wrong.shape, 0.5))
    return shards.SimulatedProblems(estimates, accuracy)


@pytest.mark.parametrize("share", ["fixed", "moved"])
def test_no_more_than_the_cap_is_spent_by_all_drivers_together(script, share):
    shards = script("shards")
    rng = np.random.default_rng(3)
    curves = np.sort(rng.random((64, 33)), axis=1)
    problems = problems_of(shards, curves, 1 - curves)
    spent = []
    spend = shards.SimulatedDriver.spend
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            shards.SimulatedDriver, "spend", lambda self, part: (spend(self, part), spent.append(part))
        )
        accuracy = shards.accuracy_of_drivers(problems, 4, "sorted", share)
    assert sum(spent) == 8 * 64
    assert 0 < accuracy < 100


def test_demand_falls_with_the_price_and_holds_what_may_still_be_granted(script):
    shards = script("shards")
    flat = np.full((10, 33), 0.5)
    driver = shards.SimulatedDriver(problems_of(shards, flat, flat))
    before = driver.demand()
    assert (np.diff(before) <= 0).all()
    assert before[0] == 320
    driver.spend(40)
    assert driver.granted.sum() == 40
    assert driver.demand()[0] == 280

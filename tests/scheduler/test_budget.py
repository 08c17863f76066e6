"""Spending under a cap: reservations, settlements and unknown costs."""

import threading

import hypothesis.strategies as st
import pytest
from hypothesis import given

from testbudget.scheduler.budget import Budget, Cap, CapExceededError, OverspentError, UnknownCostError
from testbudget.traces.records import Cost

amounts = st.floats(0, 10, allow_nan=False)
costs = st.builds(Cost, st.integers(0, 5), st.integers(0, 50), st.integers(0, 50), amounts, amounts)
limits = st.dictionaries(
    st.sampled_from(["tests", "tokens", "executions", "cpu_seconds", "gpu_seconds", "usd"]),
    st.floats(0.5, 60),
    min_size=1,
)
PRICES = {"tests": 0.01, "tokens": 0.001, "gpu_seconds": 0.3, "cpu_seconds": 0.02}
# Each step reserves a max cost, and then releases it, settles a share of it, or stays in flight.
steps = st.lists(st.tuples(costs, st.sampled_from(["release", "settle", "in flight"]), st.floats(0, 1)))


def is_within_cap(budget: Budget) -> bool:
    spent = {name: getattr(budget.spent, name) for name in Cost.__dataclass_fields__} | {
        "usd": budget.spent_usd
    }
    return all(spent[name] <= limit + 1e-6 for name, limit in budget.cap.limits.items())


@given(limits, steps)
def test_spending_never_passes_the_cap_whatever_fails(cap, sequence):
    budget = Budget(Cap(cap, PRICES))
    for max_cost, end, share in sequence:
        try:
            reservation = budget.reserve(max_cost)
        except CapExceededError:
            continue
        if end == "release":
            budget.release(reservation)
        elif end == "settle":
            budget.settle(reservation, max_cost * share)
        assert is_within_cap(budget)


@given(limits, st.lists(costs, max_size=8), costs)
def test_remaining_is_exactly_what_can_be_reserved(cap, taken, max_cost):
    budget = Budget(Cap(cap, PRICES))
    for cost in taken:
        try:
            budget.reserve(cost)
        except CapExceededError:
            continue
    remaining = min(budget.remaining(max_cost), 50)
    for _ in range(remaining):
        budget.reserve(max_cost)
    if remaining < 50:
        with pytest.raises(CapExceededError):
            budget.reserve(max_cost)


def test_many_threads_together_stay_under_the_cap():
    budget = Budget(Cap({"tests": 500}))

    def spend(failing: int) -> None:
        for step in range(200):
            try:
                reservation = budget.reserve(Cost(tests=2))
            except CapExceededError:
                continue
            if step % 7 == failing:
                budget.release(reservation)
            else:
                budget.settle(reservation, Cost(tests=1 + step % 2))

    threads = [threading.Thread(target=spend, args=(failing,)) for failing in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 498 < budget.spent.tests <= 500


def test_a_released_reservation_can_be_reserved_again():
    budget = Budget(Cap({"tokens": 10}))
    budget.release(budget.reserve(Cost(tokens=10)))
    budget.settle(budget.reserve(Cost(tokens=10)), Cost(tokens=10))
    assert budget.spent == Cost(tokens=10)


def test_a_reservation_ends_once():
    budget = Budget(Cap({"tests": 4}))
    reservation = budget.reserve(Cost(tests=2))
    budget.settle(reservation, Cost(tests=2))
    with pytest.raises(KeyError):
        budget.settle(reservation, Cost(tests=2))
    with pytest.raises(KeyError):
        budget.release(reservation)


def test_work_above_its_max_cost_is_an_error():
    budget = Budget(Cap({"cpu_seconds": 10}))
    with pytest.raises(OverspentError, match="2 cpu_seconds were spent but only 1 were reserved"):
        budget.settle(budget.reserve(Cost(cpu_seconds=1)), Cost(cpu_seconds=2))


def test_an_unknown_cost_is_refused_only_in_a_dimension_with_a_limit():
    unknown = Cost(tests=1, gpu_seconds=float("nan"))
    with pytest.raises(UnknownCostError, match="gpu_seconds"):
        Budget(Cap({"gpu_seconds": 5})).reserve(unknown)
    with pytest.raises(UnknownCostError, match="usd"):
        Budget(Cap({"usd": 5}, {"gpu_seconds": 1})).reserve(unknown)
    Budget(Cap({"usd": 5}, {"tests": 1})).reserve(unknown)


def test_spending_of_an_earlier_part_of_the_run_counts():
    budget = Budget(Cap({"tests": 3}), spent=Cost(tests=2))
    assert budget.remaining(Cost(tests=1)) == 1


def test_decimal_amounts_fill_a_cap_exactly():
    budget = Budget(Cap({"usd": 0.3}, {"tests": 0.1}))
    assert budget.remaining(Cost(tests=1)) == 3

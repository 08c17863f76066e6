from heapq import heapify, heappop, heappush

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies import water_filling
from testbudget.policies.water_filling import allocate_greedily

BUDGET = 8


@pytest.fixture(
    scope="module",
    params=[(0, 4), (2**15, 4), (2**15, 1)],
    ids=["search", "table", "narrow table"],
    autouse=True,
)
def way(request):
    """Both ways to draw: by a search for the threshold, and from a table, too narrow at first or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(water_filling, "_TABLE", request.param[0])
        patch.setattr(water_filling, "_WIDTH", request.param[1])
        yield


@st.composite
def tables(draw):
    """Values that never rise along a problem's tests, with many ties and zeros."""
    problems = draw(st.integers(1, 8))
    row = st.lists(st.integers(0, 4), min_size=2 * BUDGET, max_size=2 * BUDGET)
    rows = draw(st.lists(row, min_size=problems, max_size=problems))
    numbers = st.lists(st.integers(0, BUDGET), min_size=problems, max_size=problems)
    table = -np.sort(-np.array(rows, np.float64), axis=1)
    return table, np.array(draw(numbers), np.int32), np.array(draw(numbers), np.int32)


def drawn_from_a_heap(table, granted, free, remaining):
    drawn = np.zeros(len(table), np.int64)
    heap = [(-table[i, granted[i]], i) for i in range(len(table)) if free[i]]
    heapify(heap)
    while heap and drawn.sum() < remaining:
        value, i = heappop(heap)
        if value == 0:
            break
        drawn[i] += 1
        if drawn[i] < free[i]:
            heappush(heap, (-table[i, granted[i] + drawn[i]], i))
    return drawn


def filled(table, granted, free, remaining):
    chosen, tests = allocate_greedily(lambda at, tests: table[at, tests], granted, free, remaining)
    assert (np.diff(chosen) > 0).all()
    assert (tests > 0).all()
    drawn = np.zeros(len(table), np.int64)
    drawn[chosen] = tests
    return drawn


@given(tables(), st.integers(0, 80))
def test_the_tests_drawn_are_those_of_a_heap(example, remaining):
    np.testing.assert_array_equal(filled(*example, remaining), drawn_from_a_heap(*example, remaining))


@given(tables(), st.lists(st.integers(0, 20), max_size=6))
def test_several_draws_equal_one_draw(example, asks):
    table, granted, free = example
    drawn = np.zeros(len(table), np.int64)
    for remaining in asks:
        drawn += filled(
            table, (granted + drawn).astype(np.int32), (free - drawn).astype(np.int32), remaining
        )
    np.testing.assert_array_equal(drawn, filled(table, granted, free, sum(asks)))


@given(tables())
def test_without_a_limit_every_test_of_value_is_drawn(example):
    np.testing.assert_array_equal(filled(*example, 2**62), drawn_from_a_heap(*example, 10**6))

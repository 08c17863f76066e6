"""The frontier against sorting everything."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from testbudget.scheduler.core import frontier as module
from testbudget.scheduler.core.frontier import Frontier


@settings(max_examples=200, deadline=None)
@given(data=st.data(), n=st.integers(1, 40), levels=st.integers(1, 6))
def test_it_takes_the_largest_values_in_the_order_of_ranks(data, n, levels):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    worth = rng.integers(0, levels, n).astype(float)
    rank = rng.permutation(n)
    module._SMALLEST_PASS, before = data.draw(st.sampled_from([1, 4, 1024])), module._SMALLEST_PASS
    try:
        frontier = Frontier(rank, lambda problems: worth[problems])
        outside = set(range(n))
        for _ in range(data.draw(st.integers(1, 12))):
            match data.draw(st.sampled_from(["put", "put", "take", "take", "remove"])):
                case "put" if outside:
                    some = np.array(sorted(outside))[: data.draw(st.integers(1, len(outside)))]
                    worth[some] = rng.integers(0, levels, len(some))
                    frontier.put(some)
                    outside -= set(some.tolist())
                case "remove":
                    some = np.array([data.draw(st.integers(0, n - 1))])
                    frontier.remove(some)
                    outside |= set(some.tolist())
                case "take":
                    inside = [p for p in range(n) if p not in outside and worth[p] > 0]
                    best = sorted(inside, key=lambda p: (-worth[p], rank[p]))
                    count = data.draw(st.integers(0, n + 1))
                    assert len(frontier) == len(inside)
                    taken = frontier.take(count).tolist()
                    assert sorted(taken) == sorted(best[:count])
                    outside |= set(taken)
    finally:
        module._SMALLEST_PASS = before

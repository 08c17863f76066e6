"""A timed policy is asked for as many tests as it is told of."""

import pytest


@pytest.mark.parametrize("name", ["uniform", "adaptive"])
@pytest.mark.parametrize("ask", [1, 15])
def test_a_timed_policy_spends_the_cap_in_asks_of_the_given_size(script, name, ask):
    figures = script("policy_scale").measure(name, 60, ask, 60.0)
    assert figures.tests == 4 * 60  # one test of each problem is granted at the start
    assert figures.asks >= figures.tests / (20 * ask)
    assert figures.grants <= figures.tests
    assert figures.per_ask > 0
    assert 0 < figures.kept < figures.peak

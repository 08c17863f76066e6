"""A timed policy spends the whole cap."""

import pytest


@pytest.mark.parametrize("name", ["uniform", "adaptive"])
def test_a_timed_policy_spends_the_cap_and_is_told_of_every_grant(script, name):
    figures = script("policy_scale").measure(name, 50, 20, 150)
    assert figures.tests == 150
    assert 50 <= figures.grants <= 150
    assert figures.rate > 0
    assert 0 < figures.kept < figures.peak

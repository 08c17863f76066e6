from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.curves import OracleCurves, envelope_slopes


def policy_with(curves, **limits):
    return OracleCurves(len(curves), np.array(curves), **{"max_tests": 99, **limits})


def curves_of(problems, tests):
    share = st.integers(0, 8).map(lambda eighths: eighths / 8)
    curve = st.lists(share, min_size=tests + 1, max_size=tests + 1)
    return st.lists(curve, min_size=problems, max_size=problems)


@given(curves_of(3, 4), st.integers(0, 12))
def test_no_budgets_within_the_cap_have_higher_envelopes(curves, room):
    policy = policy_with(curves)
    gain = sum(grant.expected_gain for grant in policy.ask(room))
    heights = np.cumsum(np.pad(envelope_slopes(np.array(curves)), ((0, 0), (1, 0))), axis=1)
    best = max(
        sum(heights[problem, tests] for problem, tests in enumerate(budgets))
        for budgets in product(range(5), repeat=3)
        if sum(budgets) <= room
    )
    assert gain == pytest.approx(best, abs=1e-6)


def test_it_stops_where_accuracy_falls_and_where_tests_do_nothing():
    policy = policy_with([[0.2, 0.5, 0.9, 0.4], [0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.2, 0.3]])
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [2, 0, 0])


def test_it_looks_past_tests_that_do_nothing_by_themselves():
    policy = policy_with([[0.0, 0.0, 0.0, 0.9], [0.0, 0.2, 0.2, 0.2]])
    policy.ask(3)
    np.testing.assert_array_equal(policy.granted, [3, 0])


def test_a_problem_with_fewer_tests_ends_where_its_curve_does():
    policy = policy_with([[0.0, 0.5, np.nan], [0.0, 0.1, 0.2]])
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [1, 2])


def test_there_must_be_one_curve_a_problem():
    with pytest.raises(ValueError, match="one curve for each of 2 problems but got 1"):
        OracleCurves(2, np.zeros((1, 4)), max_tests=3)

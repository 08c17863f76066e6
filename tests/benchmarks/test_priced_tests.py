"""Caps in any unit hold, prices move tests to cheap problems, and leading groups alone are executed."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def priced(script):
    return script("priced_tests")


def estimates_of(priced, problems, tests):
    said = np.full((problems, tests + 1), 0.5)
    return priced.PickEstimates(said, said)


def test_a_cap_holds_and_a_problem_gets_no_more_tests_than_it_has(priced):
    costs = np.random.default_rng(0).uniform(0.5, 3, (6, 8))
    costs[0, 3:] = 0  # three tests
    spent = np.concatenate([np.zeros((6, 1)), np.cumsum(costs, axis=1)], axis=1)
    for cap in (2.0, 20.0, 1000.0):
        for exponent in (0.0, 1.0):
            granted = priced.spend(estimates_of(priced, 6, 8), spent, cap, exponent, 0)
            assert spent[np.arange(6), granted].sum() <= cap
        equal = priced.equal_budgets(spent, cap, 0)
        assert spent[np.arange(6), equal].sum() <= cap
    np.testing.assert_array_equal(granted, [3, 8, 8, 8, 8, 8])
    np.testing.assert_array_equal(equal, [3, 8, 8, 8, 8, 8])


def test_divided_by_the_price_values_send_tests_to_cheap_problems(priced):
    spent = np.outer([1.0, 10.0], np.arange(13))
    plain, by_price = (priced.spend(estimates_of(priced, 2, 12), spent, 50, one, 0) for one in (0.0, 1.0))
    assert by_price[0] > plain[0]
    assert by_price[1] < plain[1]


def test_equal_budgets_differ_by_one_test(priced):
    spent = np.outer([1.0, 2.0, 1.0], np.arange(9))
    assert np.ptp(priced.equal_budgets(spent, 9, 0)) <= 1


def test_with_as_many_groups_as_there_are_only_equal_programs_are_left_out(priced, recording):
    order = np.random.default_rng(0).permutation(recording.tests)[:20]
    tests = priced.ColumnsOfTests.of(recording, order, recording.merged_evidence(order), merge=True)
    every, few = priced.run_on_leading(tests, 1000), priced.run_on_leading(tests, 2)
    whole = priced.eliminate(tests, priced.Calibrated(), 1e9)
    assert few.executions[-1] <= every.executions[-1] <= whole.executions[-1]
    assert few.executions[2] == whole.executions[2]  # all programs are run on the first two tests


def test_a_way_is_as_good_as_itself_at_equal_executions(priced):
    rng = np.random.default_rng(0)
    one = priced.Executed(rng.random((2, 9, 3)), np.tile([3.0, 5.0, 8.0], (2, 9, 1)))
    points = priced.at_equal_executions(one, one)
    assert len(points) == 4
    assert all(cell.value == cell.low == cell.high == 0 for cell in points)

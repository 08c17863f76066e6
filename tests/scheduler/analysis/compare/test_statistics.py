import numpy as np
import pytest

from testbudget.rewards.statistics import Interval, quintiles, resampled_means, where_reached

RNG = np.random.default_rng


def test_differences_are_paired_by_problem_and_order():
    base = RNG(0).random((5, 40, 1))
    means = resampled_means(np.concatenate([base, base + 0.25], axis=2), RNG(1))
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.25)
    assert means[:, 0].std() > 0.01


def test_intervals_are_as_wide_as_the_problems_and_the_orders_vary():
    problems = np.broadcast_to(RNG(0).normal(size=(1, 400, 1)), (10, 400, 1))
    orders = np.broadcast_to(RNG(0).normal(size=(10, 1, 1)), (10, 400, 1))
    for values, deviation in ((problems, problems.std() / 20), (orders, orders.std() / np.sqrt(10))):
        means = resampled_means(values, RNG(1), resamples=4000)[:, 0]
        assert means.mean() == pytest.approx(values.mean(), abs=0.1 * deviation)
        assert means.std() == pytest.approx(deviation, rel=0.05)


def test_an_interval_holds_the_middle_95_percent_of_the_resampled_values():
    assert Interval.of(0.5, np.arange(1000) / 1000) == Interval(0.5, 0.024, 0.974)
    assert Interval.of(3, np.array([1.0, 2.0, np.inf])).high == np.inf


def reached(accuracy, curve, spent=(0, 1, 2, 4)):
    return where_reached(np.array([accuracy]), np.array([curve]), np.array(spent, np.float64))[0]


@pytest.mark.parametrize(
    ("accuracy", "curve", "tests"),
    [
        (0.5, [0.2, 0.4, 0.6, 0.8], 1.5),
        (0.7, [0.2, 0.4, 0.6, 0.8], 3.0),
        (0.4, [0.2, 0.4, 0.6, 0.8], 1.0),
        (0.8, [0.2, 0.4, 0.6, 0.8], 4.0),
        (0.1, [0.2, 0.4, 0.6, 0.8], 0.0),
        (0.9, [0.2, 0.4, 0.6, 0.8], np.inf),
        (0.6, [0.2, 0.6, 0.5, 0.7], 1.0),  # first reached before the curve falls
        (0.65, [0.2, 0.6, 0.5, 0.7], 3.0),  # from the best so far to the next better one
    ],
)
def test_where_a_curve_first_reaches_an_accuracy(accuracy, curve, tests):
    assert reached(accuracy, curve) == pytest.approx(tests)


def test_fifths_go_from_the_lowest_to_the_highest():
    parts = quintiles(np.array([5, 1, 4, 2, 3, 9, 7, 8, 6, 0]) / 10)
    assert [part.tolist() for part in parts] == [[9, 1], [3, 4], [2, 0], [8, 6], [7, 5]]
    assert [len(part) for part in quintiles(np.zeros(3))] == [1, 1, 1]

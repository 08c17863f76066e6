import numpy as np
import pytest

from testbudget.rewards.bootstrap import (
    Interval,
    bootstrap_means,
    bootstrap_scores,
    equal_parts,
    first_crossing,
    intervals,
    resampled_means,
)

RNG = np.random.default_rng


def test_differences_are_paired_by_problem_and_permutation():
    base = RNG(0).random((5, 40, 1))
    means = resampled_means(np.concatenate([base, base + 0.25], axis=2), RNG(1))
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.25)
    assert means[:, 0].std() > 0.01


def test_intervals_are_as_wide_as_problems_and_permutations_vary():
    problems = np.broadcast_to(RNG(0).normal(size=(1, 400, 1)), (10, 400, 1))
    permutations = np.broadcast_to(RNG(0).normal(size=(10, 1, 1)), (10, 400, 1))
    for values, deviation in (
        (problems, problems.std() / 20),
        (permutations, permutations.std() / np.sqrt(10)),
    ):
        means = resampled_means(values, RNG(1), resamples=4000)[:, 0]
        assert means.mean() == pytest.approx(values.mean(), abs=0.1 * deviation)
        assert means.std() == pytest.approx(deviation, rel=0.05)


def test_an_interval_holds_the_middle_95_percent_of_the_resampled_values():
    assert Interval.of(0.5, np.arange(1000) / 1000) == Interval(0.5, 0.024, 0.974)
    assert Interval.of(3, np.array([1.0, 2.0, np.inf])).high == np.inf


def reached(accuracy, curve, spent=(0, 1, 2, 4)):
    return first_crossing(np.array([accuracy]), np.array([curve]), np.array(spent, np.float64))[0]


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


def test_equal_parts_go_from_the_lowest_to_the_highest():
    parts = equal_parts(np.array([5, 1, 4, 2, 3, 9, 7, 8, 6, 0]) / 10, 5)
    assert [part.tolist() for part in parts] == [[9, 1], [3, 4], [2, 0], [8, 6], [7, 5]]
    assert [len(part) for part in equal_parts(np.zeros(3), 5)] == [1, 1, 1]


def test_the_interval_of_a_mean_is_that_of_its_resamples():
    values = RNG(0).random((4, 30, 2))
    means = bootstrap_means(values, seed=3)
    np.testing.assert_array_equal(means[0], values.mean(axis=(0, 1)))
    np.testing.assert_array_equal(means[1:], resampled_means(values, RNG(3)))
    assert intervals(means)[1] == Interval.of(means[0, 1], means[1:, 1])


def test_resamples_without_a_score_are_left_out():
    labels = np.array([1.0, 0.0, 0.0, 0.0])

    def ratio(rows):
        sums = labels[rows].sum(axis=1)
        return np.stack([np.where(sums > 0, 1.0, np.nan), np.full(len(rows), np.nan)])

    defined, undefined = bootstrap_scores(ratio, 4, seed=0)
    assert defined == Interval(1.0, 1.0, 1.0)
    assert np.isnan([undefined.value, undefined.low, undefined.high]).all()

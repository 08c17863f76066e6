import numpy as np
import pytest

from policies import Binned, Bins, Lesson, Lessons
from rewards.errors import UserError


def taught(lesson, edges, curves) -> Lesson:
    plain = lesson()
    return Lesson(
        plain.selection,
        plain.accuracy,
        None,
        plain.counts,
        plain.usual,
        plain.weights,
        Bins(np.array(edges), np.array(curves)),
    )


def test_problems_of_a_bin_get_the_budgets_that_its_curve_is_worth(lesson):
    one = taught(lesson, [0.5], [[0.1, 0.2, 0.3, 0.4], [0.5, 0.9, 0.9, 0.9]])
    policy = Binned(4, np.array([0.1, 0.4, 0.6, 0.9]), Lessons.shared(one, 4), max_tests=9)
    grants = policy.ask(6)
    np.testing.assert_array_equal(policy.granted, [3, 1, 1, 1])
    assert sum(grant.expected_gain for grant in grants) == pytest.approx(0.3 + 0.1 + 0.4 + 0.4)
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [3, 3, 1, 1])


def test_each_problem_goes_by_the_bins_of_its_own_lesson(lesson):
    rising, flat = [0.0, 0.5, 0.9], [0.4, 0.4, 0.4]
    lessons = Lessons(
        (taught(lesson, [0.5], [rising, flat]), taught(lesson, [], [[0.1, 0.3]])), np.array([0, 0, 1])
    )
    policy = Binned(3, np.array([0.2, 0.7, 0.7]), lessons, max_tests=9)
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [2, 0, 1])


def test_lessons_without_pass_rates_are_not_enough(lesson):
    with pytest.raises(UserError, match="'binned' needs lessons with predicted pass rates"):
        Binned(2, np.array([0.5, 0.5]), Lessons.shared(lesson(bins=False), 2), max_tests=9)


def test_lessons_must_be_of_these_problems(lesson):
    with pytest.raises(ValueError, match="one number for each of 3 problems"):
        Binned(3, np.full(3, 0.5), Lessons.shared(lesson(), 2), max_tests=9)


@pytest.mark.parametrize("rates", [[0.5, -0.1], [0.5, 1.1], [0.5, np.nan]])
def test_pass_rates_outside_zero_to_one_are_refused(lesson, rates):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Binned(2, np.array(rates), Lessons.shared(lesson(), 2), max_tests=9)

import numpy as np
import pytest

from testbudget.policies.curves import Binned
from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModels
from testbudget.rewards.errors import UserError


def taught(gain_model, edges, curves) -> GainModel:
    plain = gain_model()
    return GainModel(
        plain.selection,
        plain.accuracy,
        None,
        plain.counts,
        plain.usual,
        plain.weights,
        DifficultyBins(np.array(edges), np.array(curves)),
    )


def test_problems_of_a_bin_get_the_budgets_that_its_curve_is_worth(gain_model):
    one = taught(gain_model, [0.5], [[0.1, 0.2, 0.3, 0.4], [0.5, 0.9, 0.9, 0.9]])
    policy = Binned(4, np.array([0.1, 0.4, 0.6, 0.9]), GainModels.shared(one, 4), max_tests=9)
    grants = policy.ask(6)
    np.testing.assert_array_equal(policy.granted, [3, 1, 1, 1])
    assert sum(grant.expected_gain for grant in grants) == pytest.approx(0.3 + 0.1 + 0.4 + 0.4)
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [3, 3, 1, 1])


def test_each_problem_goes_by_the_bins_of_its_own_lesson(gain_model):
    rising, flat = [0.0, 0.5, 0.9], [0.4, 0.4, 0.4]
    gain_models = GainModels(
        (taught(gain_model, [0.5], [rising, flat]), taught(gain_model, [], [[0.1, 0.3]])),
        np.array([0, 0, 1]),
    )
    policy = Binned(3, np.array([0.2, 0.7, 0.7]), gain_models, max_tests=9)
    policy.ask(100)
    np.testing.assert_array_equal(policy.granted, [2, 0, 1])


def test_lessons_without_pass_rates_are_not_enough(gain_model):
    with pytest.raises(UserError, match="'binned' needs lessons with predicted pass rates"):
        Binned(2, np.array([0.5, 0.5]), GainModels.shared(gain_model(bins=False), 2), max_tests=9)


def test_lessons_must_be_of_these_problems(gain_model):
    with pytest.raises(ValueError, match="one number for each of 3 problems"):
        Binned(3, np.full(3, 0.5), GainModels.shared(gain_model(), 2), max_tests=9)


@pytest.mark.parametrize("rates", [[0.5, -0.1], [0.5, 1.1], [0.5, np.nan]])
def test_pass_rates_outside_zero_to_one_are_refused(gain_model, rates):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Binned(2, np.array(rates), GainModels.shared(gain_model(), 2), max_tests=9)

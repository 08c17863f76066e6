import numpy as np

from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment


def test_the_multiplier_is_one_at_the_mean_p_wrong_and_rises_by_the_weight():
    fitted = GainModel(
        "majority",
        np.array([0.2, 0.5]),
        None,
        np.array([1, 3]),
        np.array([0.4, 0.2]),
        np.array([1.0, 2.0]),
    )
    tests = np.array([1, 1, 3, 3, 2, 9])
    p_wrong = np.array([0.4, 0.8, 0.2, 0.4, 0.6, 0.1])
    np.testing.assert_allclose(fitted.multiplier(tests, p_wrong), [1.0, 2.0, 1.0, 3.0, 2.5, 0.0])


def test_the_multiplier_is_one_where_p_wrong_was_always_zero():
    fitted = GainModel("majority", np.ones(2), None, np.array([1]), np.zeros(1), np.zeros(1))
    np.testing.assert_array_equal(fitted.multiplier(np.array([1]), np.array([0.5])), [1.0])


def test_a_pass_rate_on_an_edge_belongs_to_the_bin_above():
    bins = DifficultyBins(np.array([0.2, 0.6]), np.zeros((3, 2)))
    np.testing.assert_array_equal(bins.bin_of(np.array([0.0, 0.2, 0.59, 0.6, 1.0])), [0, 1, 1, 2, 2])


def test_a_shared_gain_model_is_that_of_every_problem(gain_model):
    gain_models = GainModelAssignment.shared(gain_model(), 3)
    np.testing.assert_array_equal(gain_models.gain_model_of, [0, 0, 0])

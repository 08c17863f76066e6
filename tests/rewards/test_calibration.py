"""The likelihood ratio against its closed form, and the strength of pools."""

import numpy as np
import pytest
from scipy.special import betaln

from testbudget.rewards.calibration import PassModel, agreement_of_votes, shrunk_agreement, strength_of


def log_likelihood(passed, tests, mean, total):
    alpha, beta = mean * total, (1 - mean) * total
    return betaln(alpha + passed, beta + tests - passed) - betaln(alpha, beta)


@pytest.mark.parametrize("model", [PassModel(0.45, 0.15, 5.0, 3.0), PassModel(0.98, 0.005, 1.0, 16.0)])
def test_the_log_ratio_is_that_of_two_beta_binomial_models(model):
    passes, failures, every = model.log_ratio(12)
    for tests in range(13):
        for passed in range(tests + 1):
            expected = log_likelihood(passed, tests, model.right_mean, model.right_total) - log_likelihood(
                passed, tests, model.wrong_mean, model.wrong_total
            )
            found = passes[passed] + failures[tests - passed] - every[tests]
            assert found == pytest.approx(expected, abs=1e-12)


def test_tables_for_more_tests_begin_with_those_for_fewer():
    model = PassModel(0.6, 0.2, 5.0, 3.0)
    np.testing.assert_array_equal(model.log_ratio(20)[:, :6], model.log_ratio(5))


def test_the_strength_rises_from_0_to_1_between_two_agreements():
    np.testing.assert_allclose(strength_of(np.array([0.2, 0.58, 0.64, 0.7, 0.9])), [0, 0, 0.5, 1, 1])


def test_the_agreement_of_few_problems_is_drawn_to_one_half():
    np.testing.assert_allclose(
        shrunk_agreement(np.array([0.0, 0.8, 80.0]), np.array([0, 1, 100])), [0.5, 1.8 / 3, 81 / 102]
    )


def test_candidates_that_pass_the_same_tests_agree_more():
    halves, same = np.array([0.5, 0.5]), np.array([1.0, 0.0])
    assert agreement_of_votes(same.mean(), (same**2).mean()) == pytest.approx(0.89)
    assert agreement_of_votes(halves.mean(), (halves**2).mean()) == pytest.approx(0.29)

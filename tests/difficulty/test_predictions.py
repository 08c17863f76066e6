import numpy as np
import pytest
from scipy.stats import spearmanr

from testbudget.difficulty.predictions import TOLERANCE, noisy_rates
from testbudget.rewards.errors import UserError

# Many problems that nobody solves, many that everybody does: ties as in real runs.
TRUTH = np.random.default_rng(0).beta(0.4, 0.6, 160).round(1)
kinds = pytest.mark.parametrize("calibrated", [False, True], ids=["bold", "calibrated"])


def drawn(correlation, calibrated, seeds=range(20)):
    return [noisy_rates(TRUTH, correlation, np.random.default_rng(s), calibrated=calibrated) for s in seeds]


@kinds
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.95, 1.0])
def test_every_draw_has_the_rank_correlation_that_was_asked_for(correlation, calibrated):
    for believed in drawn(correlation, calibrated):
        assert abs(spearmanr(believed, TRUTH).statistic - correlation) <= TOLERANCE
        assert believed.min() >= 0
        assert believed.max() <= 1


@kinds
def test_draws_differ_and_a_seed_repeats_them(calibrated):
    first, second = drawn(0.6, calibrated, seeds=(1, 2))
    assert (first != second).any()
    np.testing.assert_array_equal(first, drawn(0.6, calibrated, seeds=(1,))[0])


def test_bold_beliefs_are_distributed_as_the_truth():
    for believed in drawn(0.6, calibrated=False):
        np.testing.assert_array_equal(np.sort(believed), np.sort(TRUTH))


def test_of_calibrated_beliefs_the_share_believed_comes_true():
    believed, truth = np.concatenate(drawn(0.6, calibrated=True, seeds=range(100))), np.tile(TRUTH, 100)
    for low in np.arange(0.1, 0.8, 0.1):
        alike = (believed >= low) & (believed < low + 0.1)
        assert truth[alike].mean() == pytest.approx(believed[alike].mean(), abs=0.04)


def test_calibrated_beliefs_come_nearer_to_the_mean_the_less_is_known():
    deviations = [np.std(drawn(rho, calibrated=True, seeds=(0,))[0]) for rho in (0.1, 0.4, 0.7, 0.99)]
    assert deviations == sorted(deviations)
    assert deviations[0] < 0.1
    assert deviations[-1] == pytest.approx(TRUTH.std(), abs=0.02)


@pytest.mark.parametrize("correlation", [-0.1, 1.1, np.nan])
def test_a_correlation_out_of_range(correlation):
    with pytest.raises(UserError, match="from 0 to 1 but got"):
        drawn(correlation, calibrated=False)


@pytest.mark.parametrize("truth", [np.full(9, 0.5), np.array([0.2, 0.4, 0.9])])
def test_pass_rates_too_few_or_too_equal_to_be_ranked_so(truth):
    with pytest.raises(UserError, match="must differ enough"):
        noisy_rates(truth, 0.7, np.random.default_rng(0), calibrated=False)

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from testbudget.difficulty.predictions import (
    TOLERANCE,
    learned_pass_rates,
    measured_pass_rates,
    model_pass_rates,
    noisy_rates,
    predict_pass_rates,
)
from testbudget.rewards.errors import UserError
from testbudget.traces.tables import read_trace

# Many pass rates of 0 and of 1: ties as in real runs.
MEASURED = np.random.default_rng(0).beta(0.4, 0.6, 160).round(1)
kinds = pytest.mark.parametrize("calibrated", [False, True], ids=["uncalibrated", "calibrated"])


def drawn(correlation, calibrated, seeds=range(20)):
    return [
        noisy_rates(MEASURED, correlation, np.random.default_rng(s), calibrated=calibrated) for s in seeds
    ]


@kinds
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.95, 1.0])
def test_every_draw_has_the_requested_rank_correlation(correlation, calibrated):
    for predicted in drawn(correlation, calibrated):
        assert abs(spearmanr(predicted, MEASURED).statistic - correlation) <= TOLERANCE
        assert predicted.min() >= 0
        assert predicted.max() <= 1


@kinds
def test_draws_differ_by_seed_and_are_reproducible(calibrated):
    first, second = drawn(0.6, calibrated, seeds=(1, 2))
    assert (first != second).any()
    np.testing.assert_array_equal(first, drawn(0.6, calibrated, seeds=(1,))[0])


def test_uncalibrated_rates_are_distributed_as_the_measured_ones():
    for predicted in drawn(0.6, calibrated=False):
        np.testing.assert_array_equal(np.sort(predicted), np.sort(MEASURED))


def test_calibrated_rates_equal_the_mean_measured_rate():
    predicted, measured = (
        np.concatenate(drawn(0.6, calibrated=True, seeds=range(100))),
        np.tile(MEASURED, 100),
    )
    for low in np.arange(0.1, 0.8, 0.1):
        similar = (predicted >= low) & (predicted < low + 0.1)
        assert measured[similar].mean() == pytest.approx(predicted[similar].mean(), abs=0.04)


def test_calibrated_rates_approach_the_mean_as_the_correlation_falls():
    deviations = [np.std(drawn(rho, calibrated=True, seeds=(0,))[0]) for rho in (0.1, 0.4, 0.7, 0.99)]
    assert deviations == sorted(deviations)
    assert deviations[0] < 0.1
    assert deviations[-1] == pytest.approx(MEASURED.std(), abs=0.02)


@pytest.mark.parametrize("correlation", [-0.1, 1.1, np.nan])
def test_a_correlation_out_of_range_is_refused(correlation):
    with pytest.raises(UserError, match="from 0 to 1 but got"):
        drawn(correlation, calibrated=False)


@pytest.mark.parametrize("measured", [np.full(9, 0.5), np.array([0.2, 0.4, 0.9])])
def test_too_few_or_too_similar_pass_rates_are_refused(measured):
    with pytest.raises(UserError, match="must differ enough"):
        noisy_rates(measured, 0.7, np.random.default_rng(0), calibrated=False)


PERMUTATIONS = 3


@pytest.fixture(scope="module")
def trace(learnable):
    return read_trace(learnable.directory)


def made(name, trace):
    return predict_pass_rates(
        name, trace, lambda seen: np.linspace(0, 1, len(seen.problems)), permutations=PERMUTATIONS, seed=0
    )


def test_none_predicts_the_mean_for_every_problem(trace):
    none = made("none", trace)
    np.testing.assert_allclose(none.pass_rates, measured_pass_rates(trace).mean())
    assert none.correlation == 0


def test_oracle_is_the_measured_pass_rate(trace):
    oracle = made("oracle", trace)
    np.testing.assert_array_equal(oracle.pass_rates, np.tile(measured_pass_rates(trace), (PERMUTATIONS, 1)))
    assert oracle.correlation == pytest.approx(1)


def test_learned_calls_the_given_function(trace):
    np.testing.assert_array_equal(
        made("learned", trace).pass_rates[PERMUTATIONS - 1], np.linspace(0, 1, 60)
    )


@pytest.mark.parametrize("name", ["noisy:0.6", "noisy-calibrated:0.6"])
def test_noise_is_drawn_anew_for_each_permutation(trace, name):
    noisy = made(name, trace)
    assert noisy.correlation == pytest.approx(0.6, abs=0.01)
    assert len({tuple(rates) for rates in noisy.pass_rates}) == PERMUTATIONS


@pytest.mark.parametrize("name", ["magic", "noisy", "noisy:much", "oracle2", "", "noise:0.6"])
def test_an_unknown_predictor_is_refused_with_the_known_names(trace, name):
    with pytest.raises(
        UserError, match="must be among none, learned, oracle, noisy:R, noisy-calibrated:R but got"
    ):
        made(name, trace)


def test_no_problem_is_predicted_from_its_own_labels(learnable):
    trace = read_trace(learnable.directory)
    names = np.random.default_rng(0).permutation(list(trace.problems))
    problems = {
        name: replace(seen, correct=trace.problems[other].correct)
        for (name, seen), other in zip(trace.problems.items(), names, strict=True)
    }
    shuffled = replace(trace, problems=problems)
    # Labels that are independent of the states can only be predicted by a member fitted on them.
    assert np.corrcoef(learned_pass_rates(shuffled, seed=0), measured_pass_rates(shuffled))[0, 1] < 0.3


def test_a_trained_model_predicts_the_problems_of_another_run(trained_model, another_learnable):
    trace = read_trace(another_learnable.directory)
    rates = model_pass_rates(trace, trained_model)
    assert np.corrcoef(rates, measured_pass_rates(trace))[0, 1] > 0.6


def test_a_trained_model_needs_hidden_states(trace, trained_model):
    with pytest.raises(UserError, match="'learned' needs hidden states but"):
        model_pass_rates(replace(trace, hidden_states=None), trained_model)


def test_a_run_without_labels_is_refused(trace):
    seen = trace.problems["first/4"]
    with pytest.raises(UserError, match="must say which candidates are correct but not of first/4"):
        made("none", replace(trace, problems={**trace.problems, "first/4": replace(seen, correct=None)}))

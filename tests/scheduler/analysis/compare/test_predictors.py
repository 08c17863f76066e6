from dataclasses import replace

import numpy as np
import pytest

from testbudget.cli.main import main
from testbudget.difficulty.card import DifficultyModel
from testbudget.difficulty.predictions import (
    cross_fitted_pass_rates,
    make_predictor,
    measured_pass_rates,
    model_pass_rates,
)
from testbudget.rewards.errors import UserError
from testbudget.traces.tables import read_trace

ORDERS = 3


@pytest.fixture(scope="module")
def trace(voted):
    return read_trace(voted)


def made(name, trace):
    return make_predictor(
        name, trace, lambda seen: np.linspace(0, 1, len(seen.problems)), orders=ORDERS, seed=0
    )


def test_off_believes_the_mean_of_every_problem(trace):
    off = made("off", trace)
    np.testing.assert_allclose(off.pass_rates, measured_pass_rates(trace).mean())
    assert off.correlation == 0


def test_oracle_knows_the_truth(trace):
    oracle = made("oracle", trace)
    np.testing.assert_array_equal(oracle.pass_rates, np.tile(measured_pass_rates(trace), (ORDERS, 1)))
    assert oracle.correlation == pytest.approx(1)


def test_on_is_whatever_was_learned(trace):
    np.testing.assert_array_equal(made("on", trace).pass_rates[ORDERS - 1], np.linspace(0, 1, 15))


@pytest.mark.parametrize("name", ["blurred:0.6", "calibrated:0.6"])
def test_blurring_is_drawn_afresh_for_each_order(trace, name):
    blurred = made(name, trace)
    assert blurred.correlation == pytest.approx(0.6, abs=0.01)
    assert len({tuple(rates) for rates in blurred.pass_rates}) == ORDERS


@pytest.mark.parametrize("name", ["magic", "blurred", "blurred:much", "oracle2", ""])
def test_an_unknown_predictor_is_answered_with_the_known_ones(trace, name):
    with pytest.raises(
        UserError, match="must be among off, on, oracle, blurred:RHO, calibrated:RHO but got"
    ):
        made(name, trace)


def test_what_is_learned_of_a_problem_does_not_come_from_its_own_labels(learnable):
    trace = read_trace(learnable.directory)
    names = np.random.default_rng(0).permutation(list(trace.problems))
    problems = {
        name: replace(seen, correct=trace.problems[other].correct)
        for (name, seen), other in zip(trace.problems.items(), names, strict=True)
    }
    shuffled = replace(trace, problems=problems)
    # Labels that have nothing to do with the states can only be predicted by who has seen them.
    assert np.corrcoef(cross_fitted_pass_rates(shuffled, seed=0), measured_pass_rates(shuffled))[0, 1] < 0.3


def test_a_trained_model_takes_the_place_of_what_the_run_teaches(learnable, another_learnable, tmp_path):
    assert main(["train", str(learnable.directory), "--out", str(tmp_path / "model")]) == 0
    trace = read_trace(another_learnable.directory)
    rates = model_pass_rates(trace, DifficultyModel.load(tmp_path / "model"))
    assert np.corrcoef(rates, measured_pass_rates(trace))[0, 1] > 0.6


def test_learning_needs_hidden_states(trace):
    with pytest.raises(UserError, match="'on' needs hidden states but"):
        cross_fitted_pass_rates(replace(trace, hidden_states=None), seed=0)


def test_a_run_without_labels_is_refused(trace):
    seen = trace.problems["p/4"]
    with pytest.raises(UserError, match="must say which candidates are right but not of p/4"):
        made("off", replace(trace, problems={**trace.problems, "p/4": replace(seen, correct=None)}))

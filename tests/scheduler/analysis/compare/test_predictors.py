from dataclasses import replace

import numpy as np
import pytest

from rewards.errors import UserError
from scheduler.analysis.compare.predictors import cross_fitted, measured_pass_rates, predictor
from scheduler.tables import read_trace

ORDERS = 3


@pytest.fixture(scope="module")
def trace(voted):
    return read_trace(voted)


def made(name, trace):
    return predictor(name, trace, lambda seen: np.linspace(0, 1, len(seen.problems)), orders=ORDERS, seed=0)


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


def test_what_is_learned_of_a_problem_does_not_come_from_its_own_labels(trace):
    place, seen = 7, trace.problems["p/7"]
    flipped = replace(trace, problems={**trace.problems, "p/7": replace(seen, correct=~seen.correct)})
    before, after = cross_fitted(trace, seed=0), cross_fitted(flipped, seed=0)
    assert after[place] == before[place]
    assert (after != before).any()


def test_learning_needs_hidden_states(trace):
    with pytest.raises(UserError, match="'on' needs hidden states but"):
        cross_fitted(replace(trace, hidden_states=None), seed=0)


def test_a_run_without_labels_is_refused(trace):
    seen = trace.problems["p/4"]
    with pytest.raises(UserError, match="must say which candidates are right but not of p/4"):
        made("off", replace(trace, problems={**trace.problems, "p/4": replace(seen, correct=None)}))

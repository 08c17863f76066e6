from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from difficulty.beliefs import HIGHEST, LOWEST, score
from difficulty.linear import predict_pass_rates
from rewards.errors import UserError

SAMPLES = 16


@dataclass
class Recorded:
    """Problems whose pass rate depends on two directions of their hidden states."""

    states: NDArray[np.float16]
    rates: NDArray[np.float64]
    weights: NDArray[np.float64]
    groups: list[str]


def recorded(problems: int, width: int = 24, seed: int = 0) -> Recorded:
    generator = np.random.default_rng(seed)
    states = generator.normal(size=(problems, 2, width)).astype(np.float16)
    log_odds = 1.5 * states[:, 0, 0] + 1.0 * states[:, 1, 3] - 0.5
    rates = generator.binomial(SAMPLES, 1 / (1 + np.exp(-log_odds.astype(float)))) / SAMPLES
    groups = [f"{number:08x}" for number in generator.permutation(10**6)[:problems]]
    return Recorded(states, rates, np.full(problems, float(SAMPLES)), groups)


def cross_fitted(data: Recorded, seed: int = 0) -> NDArray[np.float64]:
    return predict_pass_rates(
        data.states, data.rates, data.weights, data.groups, data.states, data.groups, seed=seed
    ).pass_rate


def test_a_signal_in_the_states_is_found_in_problems_that_no_model_saw():
    data = recorded(300)
    assert score(cross_fitted(data), data.rates).spearman > 0.7


def test_new_problems_are_predicted_by_the_model_fitted_on_all():
    data, new = recorded(300), recorded(200, seed=1)
    beliefs = predict_pass_rates(
        data.states, data.rates, data.weights, data.groups, new.states, new.groups, seed=0
    )
    assert beliefs.out_of_fold == 0
    assert score(beliefs.pass_rate, new.rates).spearman > 0.7


def test_problems_of_the_training_set_are_counted_as_out_of_fold():
    data, new = recorded(60), recorded(20, seed=1)
    beliefs = predict_pass_rates(
        data.states,
        data.rates,
        data.weights,
        data.groups,
        np.concatenate([new.states, data.states[:7]]),
        new.groups + data.groups[:7],
        seed=0,
    )
    assert beliefs.out_of_fold == 7


def test_shuffled_labels_give_chance():
    data = recorded(1500)
    data.rates = np.random.default_rng(5).permutation(data.rates)
    assert abs(score(cross_fitted(data), data.rates).spearman) < 0.1


def test_a_prediction_does_not_depend_on_the_problem_s_own_label_or_sample_count():
    data = recorded(60)
    before = cross_fitted(data)
    for problem in (0, 17, 59):
        changed = recorded(60)
        changed.rates[problem] = 1 - changed.rates[problem]
        changed.weights[problem] = 3.0
        after = cross_fitted(changed)
        assert after[problem] == before[problem]
        assert not np.array_equal(after, before)


def test_a_duplicate_in_the_training_set_is_never_behind_a_prediction():
    data = recorded(60)
    copies = [*range(60), 4, 4, 31]
    before = None
    for rate_of_copies in (0.0, 1.0):
        rates = data.rates[copies]
        rates[[4, 60, 61]] = rate_of_copies
        beliefs = predict_pass_rates(
            data.states[copies],
            rates,
            data.weights[copies],
            [data.groups[row] for row in copies],
            data.states,
            data.groups,
            seed=0,
        ).pass_rate
        assert before is None or beliefs[4] == before
        before = beliefs[4]


def test_copies_of_a_problem_count_as_one_problem_with_all_their_samples():
    data = recorded(60)
    halves = Recorded(
        np.concatenate([data.states, data.states]),
        np.concatenate([data.rates, data.rates]),
        np.concatenate([data.weights, data.weights]) / 2,
        data.groups * 2,
    )
    beliefs = predict_pass_rates(
        halves.states, halves.rates, halves.weights, halves.groups, data.states, data.groups, seed=0
    )
    np.testing.assert_array_equal(beliefs.pass_rate, cross_fitted(data))


def test_the_order_of_training_problems_does_not_matter():
    data = recorded(60)
    order = np.random.default_rng(2).permutation(60)
    beliefs = predict_pass_rates(
        data.states[order],
        data.rates[order],
        data.weights[order],
        [data.groups[row] for row in order],
        data.states,
        data.groups,
        seed=0,
    )
    np.testing.assert_array_equal(beliefs.pass_rate, cross_fitted(data))


def test_the_seed_decides_the_folds_and_nothing_else_does():
    data = recorded(60)
    np.testing.assert_array_equal(cross_fitted(data, seed=3), cross_fitted(data, seed=3))
    assert not np.array_equal(cross_fitted(data, seed=3), cross_fitted(data, seed=4))


def test_beliefs_are_calibrated_whether_few_or_many_samples_stand_behind_the_labels():
    for samples in (4, 200):
        generator = np.random.default_rng(7)
        data = recorded(800)
        hidden = 1.5 * data.states[:, 0, 0].astype(float) + 2 * generator.normal(size=800) - 0.5
        data.rates = generator.binomial(samples, 1 / (1 + np.exp(-hidden))) / samples
        data.weights = np.full(800, float(samples))
        beliefs = cross_fitted(data)
        slope = np.cov(beliefs, data.rates)[0, 1] / beliefs.var(ddof=1)
        assert abs(beliefs.mean() - data.rates.mean()) < 0.01
        assert 0.85 < slope < 1.15


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_equal_labels_give_equal_beliefs_within_bounds(rate: float):
    data = recorded(40)
    data.rates = np.full(40, rate)
    np.testing.assert_allclose(cross_fitted(data), LOWEST if rate == 0 else HIGHEST, atol=0.02)


def test_more_features_than_problems_and_constant_features_are_no_obstacle():
    data = recorded(20, width=400)
    data.states[:, 1] = 3
    beliefs = cross_fitted(data)
    assert np.all((beliefs >= LOWEST) & (beliefs <= HIGHEST))


def test_no_problem_to_predict_gives_no_belief():
    data = recorded(20)
    beliefs = predict_pass_rates(
        data.states, data.rates, data.weights, data.groups, data.states[:0], [], seed=0
    )
    assert beliefs.pass_rate.shape == (0,)


def test_input_that_cannot_be_learned_from_is_refused_in_one_sentence():
    data = recorded(20)
    few = (data.states[:9], data.rates[:9], data.weights[:9], data.groups[:9])
    with pytest.raises(UserError, match="at least 10 distinct problems to learn from but got 9"):
        predict_pass_rates(*few, data.states, data.groups, seed=0)
    with pytest.raises(UserError, match="training has 48 numbers and the problems have 24"):
        predict_pass_rates(
            data.states, data.rates, data.weights, data.groups, data.states[:, 0], data.groups, seed=0
        )
    with pytest.raises(UserError, match="got 20 hashes and 19 states"):
        predict_pass_rates(
            data.states, data.rates, data.weights, data.groups, data.states[1:], data.groups, seed=0
        )
    with pytest.raises(UserError, match="got 19 rates and 20 states"):
        predict_pass_rates(
            data.states, data.rates[1:], data.weights[1:], data.groups, data.states, data.groups, seed=0
        )
    data.states[3, 0, 0] = np.nan
    with pytest.raises(UserError, match="must be finite"):
        cross_fitted(data)

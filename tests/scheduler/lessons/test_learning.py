from dataclasses import replace

import numpy as np
import pytest

from testbudget.policies.gain_model import GainModel
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes
from testbudget.scheduler.fitting.gain_models import GainObservations, out_of_fold_gain_models, fit_gain
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves, random_permutations
from testbudget.traces.records import QUANTITIES

EVERYTHING = np.arange(200)


def recording(rng, tests, candidates=6, unusable=0):
    right = rng.random(candidates) < 0.4
    passed = rng.random((tests - unusable, candidates)) < np.where(right, 0.8, 0.3)
    rows = np.concatenate([np.arange(tests - unusable), np.full(unusable, -1)])
    return RecordedTests(
        Votes.from_matrix(passed),
        None,
        np.arange(candidates),
        np.arange(tests),
        rows,
        np.ones((tests, len(QUANTITIES))),
        right,
        fold=0,
    )


def orders_of(recordings, orders=3):
    rule = selection_rule("majority")
    drawn = (random_permutations(recordings, np.random.default_rng(order)) for order in range(orders))
    return [compute_learning_curves(recordings, of_order, rule) for of_order in drawn]


def watched(recordings):
    return GainObservations.of(orders_of(recordings), "majority")


@pytest.fixture
def recordings():
    rng = np.random.default_rng(3)
    return [recording(rng, tests, unusable=tests // 4) for tests in (9, 4, 12, 1, 9, 7)]


def seen_with(accuracy, p_wrong):
    """Observations that are as doubtful after every number of tests."""
    tests = np.full(accuracy.shape[1], accuracy.shape[2] - 1)
    return GainObservations(
        "majority", accuracy, tests, np.repeat(p_wrong[..., np.newaxis], tests[0] + 1, axis=2)
    )


def noisy(rng, problems, slope):
    """Problems whose second test gains the more the more doubtful the pick is, by so much."""
    p_wrong = rng.random((5, problems))
    gain = 0.2 * (1 + slope * (2 * p_wrong - 1)) + 0.1 * rng.standard_normal((5, problems))
    accuracy = np.stack([np.zeros_like(gain), np.full_like(gain, 0.3), 0.3 + gain], axis=-1)
    return seen_with(accuracy, p_wrong)


def test_courses_are_watched_and_a_problem_that_has_fewer_tests_stays_at_its_last(recordings):
    orders, seen = orders_of(recordings), watched(recordings)
    np.testing.assert_array_equal(seen.tests, [9, 4, 12, 1, 9, 7])
    np.testing.assert_array_equal(seen.counts, [1, 2, 3, 5, 8])
    for watched_of, known_of in ((seen.accuracy, "accuracy"), (seen.p_wrong, "doubts")):
        for of_order, its_courses in zip(watched_of, orders, strict=True):
            for row, course in zip(of_order, its_courses, strict=True):
                known = getattr(course, known_of)
                np.testing.assert_array_equal(row[: len(known)], known)
                assert (row[len(known) :] == known[-1]).all()


def test_a_lesson_tells_the_mean_curve_and_the_usual_doubt_of_problems_that_have_further_tests(
    recordings,
):
    seen = watched(recordings)
    gain_model = fit_gain(seen, np.array([0, 1, 3]))
    assert gain_model.selection == "majority"
    np.testing.assert_allclose(gain_model.accuracy, seen.accuracy[:, [0, 1, 3]].mean(axis=(0, 1)))
    np.testing.assert_allclose(gain_model.mean_p_wrong[0], seen.p_wrong[:, [0, 1], 1].mean())
    np.testing.assert_allclose(gain_model.mean_p_wrong[3], seen.p_wrong[:, 0, 5].mean())


def test_a_doubt_is_weighed_by_what_it_tells_of_the_gain():
    gain_model = fit_gain(noisy(np.random.default_rng(0), 200, slope=1.0), EVERYTHING)
    assert gain_model.weights[0] == pytest.approx(1.0, abs=0.15)


def test_a_doubt_of_which_little_is_known_counts_less():
    rng = np.random.default_rng(1)
    many = fit_gain(noisy(rng, 200, slope=1.0), EVERYTHING).weights[0]
    few = [fit_gain(noisy(rng, 200, slope=1.0), np.arange(8)).weights[0] for _ in range(10)]
    assert np.mean(few) < many


def test_doubts_that_tell_nothing_mostly_weigh_nothing():
    rng = np.random.default_rng(2)
    weights = np.array([fit_gain(noisy(rng, 200, slope=0.0), EVERYTHING).weights[0] for _ in range(40)])
    # A standard error is exceeded on this side by chance in a sixth of all cases.
    assert (weights == 0).mean() > 0.7


def test_doubts_that_foretell_less_gain_weigh_nothing():
    gain_model = fit_gain(noisy(np.random.default_rng(5), 200, slope=-1.0), EVERYTHING)
    assert (gain_model.weights == 0).all()


def test_orders_of_one_problem_are_not_taken_for_many_problems():
    rng = np.random.default_rng(4)
    one = noisy(rng, 6, slope=0.5)
    repeated = replace(
        one,
        accuracy=np.tile(one.accuracy[:1], (5, 1, 1)),
        p_wrong=np.tile(one.p_wrong[:1], (5, 1, 1)),
    )
    single = replace(one, accuracy=one.accuracy[:1], p_wrong=one.p_wrong[:1])
    problems = np.arange(6)
    np.testing.assert_allclose(fit_gain(repeated, problems).weights, fit_gain(single, problems).weights)


def test_where_tests_gain_nothing_doubts_weigh_nothing():
    accuracy = np.random.default_rng(0).random((5, 40, 3))
    accuracy[:, :, 2] = accuracy[:, :, 1] - 0.1
    gain_model = fit_gain(seen_with(accuracy, np.random.default_rng(1).random((5, 40))), np.arange(40))
    assert (gain_model.weights == 0).all()


@pytest.mark.parametrize(
    ("means", "spread", "most"),
    [
        ([0.2, 0.5, 0.6, 0.3], 0.1, 2),
        ([0.6, 0.5, 0.4, 0.3], 0.1, 1),
        ([0.2, 0.3, 0.4, 0.5], 0.1, None),
        ([0.2, 0.5, 0.5, 0.5], 0.0, None),
    ],
)
def test_more_tests_are_ruled_out_only_where_accuracy_clearly_fell(means, spread, most):
    noise = spread * np.random.default_rng(0).standard_normal((1, 100, 1))
    accuracy = np.array(means) * np.ones((2, 100, 1)) + noise
    assert fit_gain(seen_with(accuracy, np.full((2, 100), 0.5)), np.arange(100)).best_budget == most


def test_a_fall_within_the_noise_rules_nothing_out():
    accuracy = np.array([0.2, 0.5, 0.49]) + np.random.default_rng(0).standard_normal((1, 30, 3))
    accuracy -= accuracy.mean(axis=1, keepdims=True) - np.array([0.2, 0.5, 0.49])
    assert fit_gain(seen_with(accuracy, np.full((1, 30), 0.5)), np.arange(30)).best_budget is None


def test_bins_hold_equally_many_problems_and_their_mean_curves():
    rng = np.random.default_rng(0)
    seen, rates = noisy(rng, 20, slope=0.0), rng.permutation(20) / 20
    bins = fit_gain(seen, np.arange(20), rates).bins
    members = bins.of(rates)
    np.testing.assert_array_equal(np.bincount(members), [4, 4, 4, 4, 4])
    for number, curve in enumerate(bins.accuracy):
        np.testing.assert_allclose(curve, seen.accuracy[:, members == number].mean(axis=(0, 1)))


def test_problems_that_are_predicted_alike_share_a_bin_and_no_bin_is_empty():
    seen = noisy(np.random.default_rng(0), 20, slope=0.0)
    rates = np.repeat([0.1, 0.6], [17, 3])
    bins = fit_gain(seen, np.arange(20), rates).bins
    assert len(bins.accuracy) == len(bins.edges) + 1
    np.testing.assert_array_equal(np.bincount(bins.of(rates)) > 0, [True] * len(bins.accuracy))
    assert len(fit_gain(seen, np.arange(20), np.full(20, 0.5)).bins.accuracy) == 1


def same(one: GainModel, other: GainModel) -> bool:
    """Equality of all fields, those of the bins included."""
    arrays = ("accuracy", "counts", "mean_p_wrong", "weights")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and (one.selection, one.best_budget) == (other.selection, other.best_budget)
        and (one.bins is None) == (other.bins is None)
        and (
            one.bins is None
            or (
                np.array_equal(one.bins.edges, other.bins.edges)
                and np.array_equal(one.bins.accuracy, other.bins.accuracy)
            )
        )
    )


def test_no_problem_is_allocated_by_what_was_learned_on_it(recordings):
    changed = [replace(recordings[0], correct=~recordings[0].correct), *recordings[1:]]
    rates = np.linspace(0, 1, 6)
    before, after = (out_of_fold_gain_models(watched(each), rates, seed=0) for each in (recordings, changed))
    own = before.gain_model_of[0]
    np.testing.assert_array_equal(before.gain_model_of, after.gain_model_of)
    for number, (one, other) in enumerate(zip(before.gain_models, after.gain_models, strict=True)):
        assert same(one, other) == (number == own)


def test_a_lesson_weighs_doubts_at_every_count_that_has_tests_behind_it(recordings):
    for gain_model in out_of_fold_gain_models(watched(recordings), seed=0, folds=3).gain_models:
        np.testing.assert_array_equal(gain_model.counts, [1, 2, 3, 5, 8])
        assert gain_model.weights.shape == gain_model.mean_p_wrong.shape == (5,)
        assert gain_model.bins is None


def test_single_tests_and_single_problems_teach_nothing(recordings):
    with pytest.raises(UserError, match="at least 2 tests each"):
        watched(recordings[3:4])
    with pytest.raises(UserError, match="at least 2 problems but got 1"):
        out_of_fold_gain_models(watched(recordings[:1]), seed=0)

"""Prediction of difficulty: features of candidates, agreement, and a ridge held against its closed form."""

import numpy as np
import pytest

from testbudget.traces.records import CandidateRecord


def records(*texts):
    return [CandidateRecord(text, False, len(text), 0.0) for text in texts]


def test_equal_candidates_are_less_distinct_and_compress_better_together(script):
    difficulty = script("difficulty_transfer")
    same = difficulty.candidate_features(records(*["def f(a):\n    return sorted(a)[0]\n"] * 8))
    different = difficulty.candidate_features(
        records(*(f"def f(a):\n    return a[{n}] ** {n + 3}\n" for n in range(8)))
    )
    assert (same[0], different[0]) == (1 / 8, 1)
    assert same[1] < different[1]
    assert same[-1] == 0
    assert np.isfinite(difficulty.candidate_features(records("", "\ud800\0"))).all()


def test_agreement_is_the_share_of_pairs_with_equal_known_outputs(script):
    difficulty = script("difficulty_transfer")
    assert difficulty._agreement(np.array([[0, 0, 1, 1]], np.int32)) == 8 / 16
    assert difficulty._agreement(np.array([[0, 0, -1, -1]], np.int32)) == 4 / 16
    assert np.isnan(difficulty._agreement(np.zeros((0, 4), np.int32)))


def test_kernel_ridge_is_ridge_on_standardised_features(script):
    difficulty = script("difficulty_transfer")
    rng = np.random.default_rng(0)
    states, values = rng.normal(size=(30, 3)), rng.random(30)
    fitted = difficulty.KernelRidge.fit([states], values)
    standard = (states - states.mean(axis=0)) / states.std(axis=0) / np.sqrt(3)
    ridge = np.linalg.solve(
        standard.T @ standard + difficulty.PENALTY * np.eye(3), standard.T @ (values - values.mean())
    )
    np.testing.assert_allclose(fitted.predict([states]), values.mean() + standard @ ridge, rtol=1e-6)


def test_the_correlation_of_a_thing_with_itself_is_one(script):
    difficulty = script("difficulty_transfer")
    values = np.arange(20.0)
    assert difficulty.correlation(values, values, 50) == pytest.approx((1, 1, 1))

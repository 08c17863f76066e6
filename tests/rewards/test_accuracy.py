from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.rewards.quality import expected_accuracy, pass_at_k


@st.composite
def draws(draw):
    samples = draw(st.integers(1, 60))
    return samples, draw(st.integers(0, samples)), draw(st.integers(1, samples))


@given(draws())
def test_pass_at_k_is_the_exact_chance_of_a_right_one_among_k_drawn(example):
    samples, correct, k = example
    exact = 1 - comb(samples - correct, k) / comb(samples, k)
    assert float(pass_at_k(samples, correct, k)) == pytest.approx(exact, abs=1e-12)


def test_pass_at_k_takes_all_problems_at_once():
    estimates = pass_at_k([10, 10, 20], [0, 10, 5], 3)
    np.testing.assert_allclose(estimates, [0.0, 1.0, 1 - comb(15, 3) / comb(20, 3)])
    np.testing.assert_allclose(pass_at_k(10, [1, 5, 10], 1), [0.1, 0.5, 1.0])


def test_pass_at_k_keeps_its_digits_where_binomials_would_overflow():
    assert float(pass_at_k(10**9, 1, 1)) == pytest.approx(1e-9, rel=1e-12)
    assert float(pass_at_k(10_000, 1, 5_000)) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(("samples", "correct", "k"), [(5, 1, 0), (5, 1, 6), ([9, 5], 1, 6)])
def test_pass_at_k_refuses_to_draw_more_than_there_is(samples, correct, k):
    with pytest.raises(ValueError, match="k must be between 1 and the number of samples"):
        pass_at_k(samples, correct, k)


@pytest.mark.parametrize("correct", [-1, 6])
def test_pass_at_k_refuses_impossible_counts(correct):
    with pytest.raises(ValueError, match="right samples"):
        pass_at_k(5, correct, 1)


def test_expected_accuracy_is_the_share_of_right_ones_among_the_winners():
    correct = np.array([True, False, True, False])
    assert expected_accuracy(np.array([0, 1, 3]), correct) == pytest.approx(1 / 3)
    assert expected_accuracy(np.array([2]), correct) == 1.0


def test_no_winner_has_no_accuracy():
    with pytest.raises(ValueError, match="at least 1 winner"):
        expected_accuracy(np.array([], np.intp), np.array([True]))

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from testbudget.rewards.seeds import (
    CONFIDENCE_FOLDS,
    derive_seed,
    hash_order,
    problem_fold,
    random_folds,
    training_positions,
)


def test_a_seed_is_the_same_in_every_process_and_release():
    assert derive_seed(0, "unit_test", "HumanEval/0", 3) == 1676293174


@given(st.integers(), st.text(), st.text(), st.integers(min_value=0))
def test_a_seed_has_31_bits(run_seed, purpose, problem, index):
    assert 0 <= derive_seed(run_seed, purpose, problem, index) < 2**31


def test_every_part_of_the_origin_changes_the_seed():
    origins = [(0, "a", "p", 1), (1, "a", "p", 1), (0, "b", "p", 1), (0, "a", "q", 1), (0, "a", "p", 2)]
    assert len({derive_seed(*origin) for origin in origins}) == len(origins)


def test_a_text_moved_from_one_part_to_the_next_changes_the_seed():
    assert derive_seed(0, "ab", "c", 1) != derive_seed(0, "a", "bc", 1)


def test_problems_spread_over_all_folds_and_stay_where_they_are():
    folds = [problem_fold(f"{number:064x}") for number in range(200)]
    assert set(folds) == set(range(CONFIDENCE_FOLDS))
    assert folds == [problem_fold(f"{number:064x}") for number in range(200)]


def test_a_hash_order_holds_each_text_once_in_an_order_that_is_the_same_everywhere():
    assert hash_order(["a", "b", "c", "b"], "0") == hash_order(["c", "b", "a"], "0")
    assert sorted(hash_order(["a", "b", "c", "b"], "0")) == ["a", "b", "c"]
    assert len({tuple(hash_order("abcdef", str(salt))) for salt in range(20)}) > 10


@given(st.integers(1, 30), st.integers(1, 7))
def test_random_folds_differ_in_size_by_one_at_most_and_train_on_all_others(items, folds):
    fold_of = random_folds(items, folds, np.random.default_rng(0))
    sizes = np.bincount(fold_of, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    for fold, others in enumerate(training_positions(fold_of, folds)):
        assert sorted([*others, *np.flatnonzero(fold_of == fold)]) == list(range(items))

"""Features of candidates: what they say of easy and of hard problems, and of candidates in any form."""

import numpy as np

from testbudget.difficulty.candidate_features import CANDIDATE_FEATURES, candidate_features
from testbudget.traces.records import CandidateRecord


def records(*texts, tokens=10):
    return [CandidateRecord(text, False, tokens + len(text), 0.0) for text in texts]


def by_name(candidates):
    return dict(zip(CANDIDATE_FEATURES, candidate_features([candidates])[0].tolist(), strict=True))


def test_equal_candidates_are_less_distinct_and_more_redundant():
    same = by_name(records(*["def f(a):\n    return sorted(a)[0]\n"] * 8))
    different = by_name(records(*(f"def f(a):\n    return a[{n}] ** {n + 3}\n" for n in range(8))))
    assert same["distinct"] == 1 / 8
    assert different["distinct"] == 1
    assert same["redundancy"] < different["redundancy"]
    assert same["token_spread"] == 0


def test_longer_candidates_have_larger_sizes():
    short, long = (
        by_name(records("a = 1")),
        by_name(records("\n".join(f"x{n} = {n * n}" for n in range(99)))),
    )
    for name in ("log_size", "log_length", "log_tokens"):
        assert short[name] < long[name]


def test_odd_candidates_have_finite_features_in_a_table_of_float32():
    features = candidate_features([records(""), records("", "\ud800\0é"), records("x", tokens=0)])
    assert features.shape == (3, len(CANDIDATE_FEATURES))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert candidate_features([]).shape == (0, len(CANDIDATE_FEATURES))

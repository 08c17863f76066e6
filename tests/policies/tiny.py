"""All budgets of instances that are small enough to try them all, for tests against optima.

The objective of each policy is a sum of concave functions, one for each problem, so one test at a time to
the largest value is optimal.
"""

from itertools import product

import numpy as np
from hypothesis import strategies as st

PROBLEMS, TESTS = 3, 4
CAPS = st.integers(0, PROBLEMS * TESTS + 1)
MAXIMA = st.lists(st.integers(0, TESTS), min_size=PROBLEMS, max_size=PROBLEMS).map(np.array)
EIGHTHS = st.integers(0, 8).map(lambda part: part / 8)
RATES = st.lists(EIGHTHS, min_size=PROBLEMS, max_size=PROBLEMS).map(np.array)
CURVES = st.lists(
    st.lists(EIGHTHS, min_size=TESTS + 1, max_size=TESTS + 1), min_size=PROBLEMS, max_size=PROBLEMS
).map(np.array)


def all_budgets(cap, max_tests, *, spend):
    """All budgets within the bounds, int (budgets, problems): up to the cap, or of as many tests as fit."""
    budgets = np.array(list(product(range(TESTS + 1), repeat=PROBLEMS)))
    total = budgets.sum(axis=1)
    within = (budgets <= max_tests).all(axis=1)
    fits = total == min(cap, max_tests.sum()) if spend else total <= cap
    return budgets[within & fits]


def total(curves, budgets):
    """Sum over problems of the curve after the problem's budget, float64 (budgets,)."""
    return curves[np.arange(PROBLEMS), budgets].sum(axis=-1)

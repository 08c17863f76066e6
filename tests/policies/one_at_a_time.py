"""Allocation by the definition: one test at a time to the problem with the largest value."""

import numpy as np

UNLIMITED = 10**9


def allocate(policy, problems, cap, *, max_tests=UNLIMITED, granted=None):
    """Tests of each problem, int64 (problems,), after at most ``cap`` more were granted.

    Ties go to the lower position. A test of value 0 is not granted.
    """
    everyone = np.arange(problems)
    granted = np.zeros(problems, np.int64) if granted is None else granted.copy()
    for _ in range(cap):
        values = np.where(granted < max_tests, policy.values(everyone, granted), 0.0)
        if not values.any():
            break
        granted[values.argmax()] += 1
    return granted

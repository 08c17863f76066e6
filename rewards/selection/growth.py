"""Scores and groups of candidates as tests come in: all counts of tests at once, from 0 to all.

What selection rules need to say who would win after each number of tests without being asked for each.
Arrays have shape (tests + 1, candidates); row m is after the first m tests.
"""

import numpy as np
from numpy.typing import NDArray


def growing_scores(passed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of tests that each candidate has passed.

    Args:
        passed: shape (tests, candidates).
    """
    scores = np.zeros((passed.shape[0] + 1, passed.shape[1]), np.int64)
    np.cumsum(passed, axis=0, out=scores[1:])
    return scores


def growing_group_sizes(passed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of candidates that have passed the same set of tests as each candidate, itself among them.

    Sorted by their verdicts, the first test first, candidates that agree on the first m tests lie side by
    side for every m; so a group is what lies between two neighbours that differ.

    Args:
        passed: shape (tests, candidates), at least one candidate.
    """
    tests, candidates = passed.shape
    order = np.lexsort(passed[::-1]) if tests else np.arange(candidates)
    neighbours = passed[:, order]
    begins = np.zeros((tests + 1, candidates), np.bool_)  # whether a group begins here
    begins[:, 0] = True
    np.logical_or.accumulate(neighbours[:, 1:] != neighbours[:, :-1], axis=0, out=begins[1:, 1:])
    ends = np.ones_like(begins)  # whether one ends here
    ends[:, :-1] = begins[:, 1:]
    places = np.arange(candidates)
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, candidates)[:, ::-1], axis=1)[:, ::-1]
    sizes = np.empty((tests + 1, candidates), np.int64)
    sizes[:, order] = last - first + 1
    return sizes

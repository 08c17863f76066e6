"""Exact greedy allocation: one test at a time to the problem with the largest index."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_TABLE = 2**15  # indices that are computed at once faster than a threshold is searched
_WIDTH = 4  # tests of each problem among them at first, beyond its even share

Index = Callable[[NDArray[np.intp], NDArray[np.int32]], NDArray[np.float64]]
"""Index of the next test: (positions, number of tests of each of these problems) -> float64, one each."""


def allocate_greedily(
    index: Index, granted: NDArray[np.int32], free: NDArray[np.int32], remaining: int
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Draw the tests that a heap of all problems' next tests would yield, one at a time.

    Ties go to the lower position. A test with index 0 is not drawn. The result is the same whether
    ``remaining`` tests are drawn at once or in parts.

    Instead of a heap, a threshold of the index is found by a quickselect over all problems at once (each
    problem's index is already sorted). With many tests for each problem it takes a few dozen vectorised
    passes; with fewer tests than problems, one pass. If there are few to draw from, the indices of each
    problem's next few tests are computed at once.

    Args:
        index: >= 0, and non-increasing in a problem's number of tests.
        granted: int32 (problems,), tests that each problem has.
        free: int32 (problems,), maximum number of further tests of each, at least 0.
        remaining: maximum number of tests to draw, at least 0.

    Returns:
        Ascending positions of the problems that get tests, intp, and the number of tests of each, int32, at
        least 1.
    """
    positions = _largest_next(index, granted, free, remaining)
    drawn = _drawn_from_table(index, positions, granted[positions], free[positions], remaining)
    if drawn is not None:
        return positions[drawn > 0], drawn[drawn > 0]
    drawn = np.zeros(positions.size, np.int32)
    # The tests low, low + 1, ..., high - 1 of each active problem are undecided.
    active = np.arange(positions.size)
    low = granted[positions]
    high = low + free[positions]
    while remaining and active.size:
        pivot, above, level = _split(index, positions[active], low, high, share=remaining // active.size)
        better = int((above - low).sum())
        if pivot == 0 or better > remaining:
            high = above
        else:
            ties = level - above
            ties_before = np.cumsum(ties) - ties
            more = above - low + np.clip(remaining - better - ties_before, 0, ties)
            drawn[active] += more
            remaining -= int(more.sum())
            low = level
        undecided = low < high
        active, low, high = active[undecided], low[undecided], high[undecided]
    return positions[drawn > 0], drawn[drawn > 0]


def _drawn_from_table(
    index: Index,
    positions: NDArray[np.intp],
    granted: NDArray[np.int32],
    free: NDArray[np.int32],
    remaining: int,
) -> NDArray[np.int32] | None:
    """Number of tests of each position, int32, from the indices of its next few tests; None if too many.

    Problems that get all of these tests are given more of them to draw from.
    """
    problems = positions.size
    known = np.zeros(problems, np.int64)  # tests of each problem in the table
    share = min(remaining // max(problems, 1), int(free.max(initial=0)))
    growing, wanted = np.arange(problems), np.minimum(free.astype(np.int64), share + _WIDTH)
    rows, values = np.zeros(0, np.intp), np.zeros(0)
    while growing.size and remaining:
        added = wanted - known[growing]
        if values.size + added.sum() > _TABLE:
            return None
        new = np.repeat(growing, added)
        first = np.repeat(known[growing] - np.cumsum(added) + added, added)
        tests = granted[new] + first + np.arange(new.size)
        rows = np.concatenate([rows, new])
        values = np.concatenate([values, index(positions[new], tests.astype(np.int32))])
        known[growing] = wanted
        threshold = 0.0
        if remaining < values.size:
            threshold = float(np.partition(values, values.size - remaining)[values.size - remaining])
        drawn = np.bincount(rows[values > threshold], minlength=problems)
        if threshold > 0:
            ties = np.bincount(rows[values == threshold], minlength=problems)
            ties_before = np.cumsum(ties) - ties
            drawn += np.clip(remaining - int(drawn.sum()) - ties_before, 0, ties)
        growing = np.flatnonzero((drawn == known) & (known < free))
        wanted = np.minimum(free[growing], 2 * known[growing] + _WIDTH)
    return np.asarray(drawn if remaining and problems else np.zeros(problems), np.int32)


def _largest_next(
    index: Index, granted: NDArray[np.int32], free: NDArray[np.int32], remaining: int
) -> NDArray[np.intp]:
    """Ascending positions whose next test is among the ``remaining`` largest."""
    able = np.flatnonzero(free > 0)
    if able.size <= remaining:
        return able
    if remaining == 0:
        return able[:0]
    values = index(able, granted[able])
    threshold = np.partition(values, -remaining)[-remaining]
    better, tied = np.flatnonzero(values > threshold), np.flatnonzero(values == threshold)
    return np.sort(able[np.concatenate([better, tied[: remaining - better.size]])])


def _split(
    index: Index, positions: NDArray[np.intp], low: NDArray[np.int32], high: NDArray[np.int32], share: int
) -> tuple[float, NDArray[np.int32], NDArray[np.int32]]:
    """Split the tests low, ..., high - 1 of each problem at a pivot.

    The pivot is the median index of the problems' tests at ``low + share`` (or of the middle test of a
    problem with fewer left). It is near the threshold whatever the numbers of undecided tests, and always
    decides either many tests or many of the remaining ones.

    Returns:
        The pivot; for each problem the first test with an index <= the pivot, and the first with one below.
    """
    half = (high - low) >> 1
    probed = low + np.minimum(half, min(share, int(half.max())))
    values = index(positions, probed)
    pivot = float(np.partition(values, values.size // 2)[values.size // 2])
    # The probed tests bound the search, so that the pivot itself is always decided.
    better, no_worse, after = values > pivot, values >= pivot, probed + 1
    above = _first_failing(
        lambda at, tests: index(positions[at], tests) > pivot,
        np.where(better, after, low),
        np.where(better, high, probed),
    )
    level = _first_failing(
        lambda at, tests: index(positions[at], tests) >= pivot,
        np.where(no_worse, np.maximum(above, after), above),
        np.where(no_worse, high, probed),
    )
    return pivot, above, level


def _first_failing(
    passes: Callable[[NDArray[np.intp], NDArray[np.int32]], NDArray[np.bool_]],
    low: NDArray[np.int32],
    high: NDArray[np.int32],
) -> NDArray[np.int32]:
    """The first test of each problem from low on that does not pass, or high, by vectorised bisection.

    ``low`` and ``high`` are overwritten.
    """
    while (searching := np.flatnonzero(low < high)).size:
        middle = low[searching] + ((high[searching] - low[searching]) >> 1)
        passing = passes(searching, middle)
        low[searching[passing]] = middle[passing] + 1
        high[searching[~passing]] = middle[~passing]
    return low

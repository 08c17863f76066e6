"""The exact greedy: single tests, each to the problem that values its next one most."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Value = Callable[[NDArray[np.intp], NDArray[np.int32]], NDArray[np.float64]]
"""Value of one more test: (positions, tests that each of these problems has) -> one number each."""


def allocate_greedily(
    value: Value, granted: NDArray[np.int32], free: NDArray[np.int32], room: int
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """The most valuable further tests, exactly those that a heap would yield one by one.

    Equal values go to the lower position, and a test without value is never drawn. What is drawn
    does not depend on whether room comes at once or in pieces.

    In place of a heap this is water-filling: it seeks the threshold of value above which tests are
    drawn, by a quickselect over all problems at once (the values of each are sorted already). With
    room for many tests a problem that is a few dozen vectorised passes; with less room than
    problems, one pass.

    Args:
        value: never negative, and never rising with a problem's tests.
        granted: shape (problems,), tests that each problem has.
        free: shape (problems,), how many more it may get, at least 0.
        room: how many tests to draw at most, at least 0.

    Returns:
        Ascending positions of the problems that get tests, and how many each gets, at least 1.
    """
    positions = _leaders(value, granted, free, room)
    drawn = np.zeros(positions.size, np.int32)
    # Undecided are the tests low, low + 1, ..., high - 1 of each problem still in play.
    play = np.arange(positions.size)
    low = granted[positions]
    high = low + free[positions]
    while room and play.size:
        pivot, above, level = _split(value, positions[play], low, high, share=room // play.size)
        better = int((above - low).sum())
        if pivot == 0 or better > room:
            high = above
        else:
            ties = level - above
            ties_before = np.cumsum(ties) - ties
            more = above - low + np.clip(room - better - ties_before, 0, ties)
            drawn[play] += more
            room -= int(more.sum())
            low = level
        undecided = low < high
        play, low, high = play[undecided], low[undecided], high[undecided]
    return positions[drawn > 0], drawn[drawn > 0]


def _leaders(
    value: Value, granted: NDArray[np.int32], free: NDArray[np.int32], room: int
) -> NDArray[np.intp]:
    """Ascending positions that can get any of ``room`` tests: those whose next test is among the best."""
    able = np.flatnonzero(free > 0)
    if able.size <= room:
        return able
    if room == 0:
        return able[:0]
    values = value(able, granted[able])
    bar = np.partition(values, -room)[-room]
    better, tied = np.flatnonzero(values > bar), np.flatnonzero(values == bar)
    return np.sort(able[np.concatenate([better, tied[: room - better.size]])])


def _split(
    value: Value, positions: NDArray[np.intp], low: NDArray[np.int32], high: NDArray[np.int32], share: int
) -> tuple[float, NDArray[np.int32], NDArray[np.int32]]:
    """Part the tests low, ..., high - 1 of each problem at a pivot.

    The pivot is the median of what the problems' tests at an equal share of the room are worth (or
    their middle tests, where a problem has fewer left): near the threshold, however large the
    windows, and always such that either many tests or much room are decided.

    Returns:
        The pivot; per problem the first test that is worth no more than it, and the first worth less.
    """
    half_windows = (high - low) >> 1
    probed = low + np.minimum(half_windows, min(share, int(half_windows.max())))
    values = value(positions, probed)
    pivot = float(np.partition(values, values.size // 2)[values.size // 2])
    # What was probed bounds the search, so that the pivot itself is decided whatever the values do.
    better, no_worse, after = values > pivot, values >= pivot, probed + 1
    above = _first_failing(
        lambda at, tests: value(positions[at], tests) > pivot,
        np.where(better, after, low),
        np.where(better, high, probed),
    )
    level = _first_failing(
        lambda at, tests: value(positions[at], tests) >= pivot,
        np.where(no_worse, np.maximum(above, after), above),
        np.where(no_worse, high, probed),
    )
    return pivot, above, level


def _first_failing(
    passes: Callable[[NDArray[np.intp], NDArray[np.int32]], NDArray[np.bool_]],
    low: NDArray[np.int32],
    high: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Per problem the first test from low on that does not pass, or high: bisections side by side.

    Low and high are used up.
    """
    while (searching := np.flatnonzero(low < high)).size:
        middle = low[searching] + ((high[searching] - low[searching]) >> 1)
        passing = passes(searching, middle)
        low[searching[passing]] = middle[passing] + 1
        high[searching[~passing]] = middle[~passing]
    return low

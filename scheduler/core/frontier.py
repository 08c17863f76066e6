"""Problems in the order of the value of their next test, at a cost that follows the number taken.

A pass over all problems sorts the most valuable ones, at least an eighth. Problems that come back go to a
heap. Both are used up before the next pass, so that one problem taken costs O(log n) on average.
"""

import heapq
from collections.abc import Callable

import numpy as np

from testbudget.scheduler.core.events import Floats, Ints

_SMALLEST_PASS = 1024
_SHARE_OF_PASS = 8


class Frontier:
    """The problems that may get a test now.

    Args:
        rank: int64 (problems,), order among problems with equal values, the lowest first.
        value: worth of the next test of given problems, float64; a problem without worth is not kept.
            The value of a problem changes only between ``take`` and ``put``.
    """

    def __init__(self, rank: Ints, value: Callable[[Ints], Floats]) -> None:
        self._rank, self._value = rank, value
        self._inside = np.zeros(len(rank), np.bool_)
        self._count = 0
        self._version = np.zeros(len(rank), np.int64)  # of a problem's only valid entry
        self._heap: list[tuple[float, int, int, int]] = []  # (-value, rank, problem, version)
        self._sorted = np.zeros(0, np.int64)
        self._sorted_values = np.zeros(0)
        self._sorted_versions = np.zeros(0, np.int64)
        self._next = 0  # among the sorted
        self._bar = 0.0  # problems inside with at least this value are among the sorted or in the heap

    def __len__(self) -> int:
        return self._count

    def put(self, problems: Ints) -> None:
        """Add problems that are not inside."""
        values = self._value(problems)
        worthy = values > 0
        problems, values = problems[worthy], values[worthy]
        self._inside[problems] = True
        self._count += len(problems)
        self._version[problems] += 1
        high = values >= self._bar
        self._push(problems[high], values[high])

    def remove(self, problems: Ints) -> None:
        """Remove problems; those that are not inside are left out."""
        found = problems[self._inside[problems]]
        self._inside[found] = False
        self._version[found] += 1
        self._count -= len(found)

    def take(self, count: int) -> Ints:
        """Remove and return the problems with the largest values, at most ``count``, in no order."""
        if count >= self._count:
            found = np.flatnonzero(self._inside)
            self.remove(found)
            self._heap.clear()
            self._next, self._bar = len(self._sorted), 0.0
            return found
        problems, values = self._candidates(count)
        if len(problems) < count:
            self._pass(count)
            problems, values = self._candidates(count)
        if len(problems) > count:
            best = np.lexsort((self._rank[problems], -values))
            rest = best[count:]
            self._push(problems[rest], values[rest])
            problems = problems[best[:count]]
        self.remove(problems)
        return problems

    def _candidates(self, count: int) -> tuple[Ints, Floats]:
        """The ``count`` best valid entries of the sorted ones and of the heap, removed from both."""
        valid = np.zeros(0, np.int64)
        start, stop = self._next, self._next
        while len(valid) < count and stop < len(self._sorted):
            stop = min(stop + 2 * count, len(self._sorted))
            entries = np.arange(start, stop)
            valid = entries[self._version[self._sorted[entries]] == self._sorted_versions[entries]]
        if len(valid) > count:
            valid, stop = valid[:count], int(valid[count])
        self._next = stop
        problems, values = list[int](), list[float]()
        while self._heap and len(problems) < count:
            value, _, problem, version = heapq.heappop(self._heap)
            if self._version[problem] == version:
                problems.append(problem)
                values.append(-value)
        return (
            np.concatenate([self._sorted[valid], np.asarray(problems, np.int64)]),
            np.concatenate([self._sorted_values[valid], np.asarray(values, np.float64)]),
        )

    def _push(self, problems: Ints, values: Floats) -> None:
        entries = zip(
            (-values).tolist(),
            self._rank[problems].tolist(),
            problems.tolist(),
            self._version[problems].tolist(),
            strict=True,
        )
        if len(problems) > len(self._heap):
            self._heap += entries
            heapq.heapify(self._heap)
        else:
            for entry in entries:
                heapq.heappush(self._heap, entry)

    def _pass(self, count: int) -> None:
        """Sort the best problems of all."""
        problems = np.flatnonzero(self._inside)
        values = self._value(problems)
        kept = max(4 * count, len(problems) // _SHARE_OF_PASS, _SMALLEST_PASS)
        if kept < len(problems):
            self._bar = float(np.partition(values, -kept)[-kept])
            high = values >= self._bar
            problems, values = problems[high], values[high]
        else:
            self._bar = 0.0
        order = np.lexsort((self._rank[problems], -values))
        self._sorted, self._sorted_values = problems[order], values[order]
        self._sorted_versions = self._version[self._sorted]
        self._next = 0
        self._heap.clear()

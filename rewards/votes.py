"""Votes of one problem: a table of tests x candidates in packed bits."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

_PASSED, _RUN = 0, 1


class Votes:
    """Verdicts of one problem as votes, shape (tests, candidates), growing by one test at a time.

    Files, imported votes and block verdicts have the candidates first.

    Each pair of a candidate and a test is passed, not passed, or not run. Pairs of eliminated candidates
    are not run and count as not passed. Two bits per pair: 1,000 candidates and 1,000 tests take about 250
    kB.

    Args:
        candidates: number of candidates, at least 1.

    Raises:
        ValueError: there are no candidates.
    """

    def __init__(self, candidates: int) -> None:
        if candidates < 1:
            raise ValueError(f"votes need at least 1 candidate but got {candidates}")
        self._candidates = candidates
        self._tests = 0
        # One row per test: the bits of passed, then those of run.
        self._rows = np.zeros((0, 2, (candidates + 7) // 8), np.uint8)
        self._scores = np.zeros(candidates, np.int32)

    @classmethod
    def from_matrix(cls, passed: NDArray[np.bool_], run: NDArray[np.bool_] | None = None) -> Self:
        """Votes from matrices.

        Args:
            passed: bool (tests, candidates).
            run: bool, same shape; None if every pair was run.

        Raises:
            ValueError: not two dimensions, no candidate, another shape or type, or a pair is passed but
                not run.
        """
        if np.ndim(passed) != 2:
            raise ValueError(f"a vote matrix must be tests x candidates but has shape {np.shape(passed)}")
        votes = cls(np.shape(passed)[1])
        votes._append(np.asarray(passed), run)
        return votes

    def first(self, tests: int) -> "Votes":
        """Votes of the first ``tests`` tests, as a copy."""
        votes = Votes(self._candidates)
        votes._tests = min(tests, self._tests)
        votes._rows = self._rows[: votes._tests].copy()
        votes._scores = votes.passed().sum(axis=0, dtype=np.int32)
        return votes

    @property
    def candidates(self) -> int:
        """Number of candidates."""
        return self._candidates

    @property
    def tests(self) -> int:
        """Number of tests."""
        return self._tests

    @property
    def nbytes(self) -> int:
        """Memory of the table in bytes, spare rows included."""
        return self._rows.nbytes + self._scores.nbytes

    def add(self, passed: NDArray[np.bool_], run: NDArray[np.bool_] | None = None) -> None:
        """Append one test.

        Args:
            passed: bool (candidates,), candidates that passed it.
            run: bool (candidates,), candidates that it was run on; None if on all.

        Raises:
            ValueError: another shape or type, or a pair is passed but not run.
        """
        self._append(np.asarray(passed)[np.newaxis], None if run is None else np.asarray(run)[np.newaxis])

    def passed(self) -> NDArray[np.bool_]:
        """Pairs that were passed, bool (tests, candidates)."""
        return self._unpack(_PASSED)

    def run(self) -> NDArray[np.bool_]:
        """Pairs that were run, bool (tests, candidates)."""
        return self._unpack(_RUN)

    def scores(self) -> NDArray[np.int32]:
        """Number of tests that each candidate passed, int32 (candidates,)."""
        return self._scores.copy()

    def pass_sets(self) -> NDArray[np.intp]:
        """Group number of each candidate, intp (candidates,), from 0 without gaps.

        Two candidates have the same number if and only if they passed the same tests.
        """
        if self._tests == 0:
            return np.zeros(self._candidates, np.intp)
        sets = np.packbits(self.passed().T, axis=1)
        as_scalars = np.ascontiguousarray(sets).view(np.dtype((np.void, sets.shape[1]))).ravel()
        return np.unique(as_scalars, return_inverse=True)[1]

    def _append(self, passed: NDArray[np.bool_], run: NDArray[np.bool_] | None) -> None:
        run = np.ones_like(passed) if run is None else np.asarray(run)
        for name, pairs in (("passed", passed), ("run", run)):
            if pairs.shape != (len(passed), self._candidates) or pairs.dtype != np.bool_:
                raise ValueError(
                    f"'{name}' must hold one bool for each of {self._candidates} candidates and "
                    f"{len(passed)} tests but has shape {pairs.shape} and type {pairs.dtype}"
                )
        if (passed & ~run).any():
            raise ValueError("a pair that was not run cannot be passed")
        tests = self._tests + len(passed)
        if tests > len(self._rows):
            # An eighth of spare rows keeps appending cheap on average.
            spare = 0 if self._tests == 0 else tests // 8
            rows = np.zeros((tests + spare, *self._rows.shape[1:]), np.uint8)
            rows[: self._tests] = self._rows[: self._tests]
            self._rows = rows
        self._rows[self._tests : tests, _PASSED] = np.packbits(passed, axis=1)
        self._rows[self._tests : tests, _RUN] = np.packbits(run, axis=1)
        self._scores += passed.sum(axis=0, dtype=np.int32)
        self._tests = tests

    def _unpack(self, which: int) -> NDArray[np.bool_]:
        rows = self._rows[: self._tests, which]
        return np.unpackbits(rows, axis=1, count=self._candidates).view(np.bool_)

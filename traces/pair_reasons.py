"""Reasons of the pairs of a problem: each distinct reason once, with its number for each pair."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.verdict_reason import VerdictReason

NO_REASON = -1
"""Number of a pair without a reason, such as one of an eliminated candidate."""


@dataclass(frozen=True, slots=True, eq=False)
class PairReasons:
    """Reasons of pairs of one problem.

    Attributes:
        tests: index of each test, ascending.
        reasons: distinct reasons.
        numbers: int32 (programs, tests), position of each pair's reason in ``reasons``, or ``NO_REASON``.
        cut_at: float32 (programs, tests), CPU-seconds after which a pair was cut off before its full limit;
            0 where it was not.
    """

    tests: tuple[int, ...]
    reasons: tuple[VerdictReason, ...]
    numbers: NDArray[np.int32]
    cut_at: NDArray[np.float32]

    def of_programs(self, programs: NDArray[np.intp]) -> "PairReasons":
        """Reasons of some programs, in this order. A program beyond the last row has none."""
        missing = ((0, max(0, programs.max(initial=-1) + 1 - len(self.numbers))), (0, 0))
        numbers = np.pad(self.numbers, missing, constant_values=NO_REASON)
        return replace(self, numbers=numbers[programs], cut_at=np.pad(self.cut_at, missing)[programs])

    def of_tests(self, tests: Sequence[int]) -> "PairReasons":
        """Reasons of some tests, in this order. A test that is not among these has none."""
        places = {test: place for place, test in enumerate(self.tests)}
        columns = [places.get(test, len(places)) for test in tests]
        one_more = ((0, 0), (0, 1))
        numbers = np.pad(self.numbers, one_more, constant_values=NO_REASON)[:, columns]
        cut_at = np.pad(self.cut_at, one_more)[:, columns]
        return replace(self, tests=tuple(tests), numbers=numbers, cut_at=cut_at).compact()

    def compact(self) -> "PairReasons":
        """The same without reasons that no pair has."""
        used = np.unique(self.numbers[self.numbers != NO_REASON])
        if len(used) == len(self.reasons):
            return self
        numbers = np.full(len(self.reasons) + 1, NO_REASON, np.int32)
        numbers[used] = np.arange(len(used))
        reasons = tuple(self.reasons[number] for number in used.tolist())
        return replace(self, reasons=reasons, numbers=numbers[self.numbers])

    def of_test(self, test: int) -> list[VerdictReason | None]:
        """Reason of each program on one test; None where there is none, also for an unknown test."""
        if test not in self.tests:
            return [None] * len(self.numbers)
        known = [*self.reasons, None]  # NO_REASON is position -1
        return [known[number] for number in self.numbers[:, self.tests.index(test)].tolist()]

    def of_column(self, column: int) -> Iterator[tuple[VerdictReason, NDArray[np.intp]]]:
        """Distinct reasons of one test, each with the positions of its programs."""
        numbers = self.numbers[:, column]
        for number in np.unique(numbers[numbers != NO_REASON]).tolist():
            yield self.reasons[number], np.flatnonzero(numbers == number)


def distinct_reasons(
    reasons: Sequence[VerdictReason],
) -> tuple[tuple[VerdictReason, ...], NDArray[np.int32]]:
    """Distinct reasons in the order of their first occurrence, and the number of each given one, int32.

    The numbers have one entry more, ``NO_REASON``, so that they can be indexed with it.
    """
    known: dict[tuple[object, ...], int] = {}
    kept: list[VerdictReason] = []
    numbers: list[int] = []
    for reason in reasons:
        key = (reason.sentence, frozenset(reason.detail.items()))
        number = known.setdefault(key, len(kept))
        if number == len(kept):
            kept.append(reason)
        numbers.append(number)
    return tuple(kept), np.array([*numbers, NO_REASON], np.int32)


def join_reasons(parts: Sequence[PairReasons]) -> PairReasons:
    """Reasons of the same programs on several sets of tests, in this order."""
    reasons, numbers = distinct_reasons([reason for part in parts for reason in part.reasons])
    columns, first = [], 0
    for part in parts:
        shifted = np.where(part.numbers == NO_REASON, NO_REASON, part.numbers + first)
        columns.append(numbers[shifted])
        first += len(part.reasons)
    return PairReasons(
        tuple(test for part in parts for test in part.tests),
        reasons,
        np.concatenate(columns, axis=1),
        np.concatenate([part.cut_at for part in parts], axis=1),
    )

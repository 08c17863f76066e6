"""Statistics of a batch while tests come in."""

from collections.abc import Callable, Mapping

from testbudget.rewards.outputs import BatchStatistics, Evidence
from testbudget.rewards.selection.batch import (
    BatchContribution,
    combine_batch,
    is_calibrating,
    standing_contribution,
)

_MEMBERS = 300  # the means of 20 problems are nearly as good
_GROWTH = 9 / 8  # of the tests of the members, between two calibrations


class RunningBatch:
    """Statistics of a batch whose problems are told test by test.

    At most 300 problems, evenly spaced, make up the batch, each with all tests told of it. The part of a
    problem costs as much as its output groups, and is computed again only if it got tests. The statistics
    are brought up to date whenever the tests of the batch have grown by an eighth. So a run of any length
    fits them about twenty times while its mean number of tests grows tenfold, and they are a function of
    the order of the log alone: a resumed run has the same.

    Args:
        problems: number of problems of the run.
        evidence: evidence of a problem, by its position, after a number of told tests.
    """

    def __init__(self, problems: int, evidence: Callable[[int, int], Evidence]) -> None:
        self._problems = problems
        self._evidence = evidence
        self._told: dict[int, int] = {}  # of members
        self._used: dict[int, int] = {}  # as the statistics count them
        self._parts: dict[int, tuple[int, BatchContribution]] = {}  # with the tests that it counts
        self._statistics: tuple[dict[int, int], BatchStatistics] | None = None

    def tell(self, told: Mapping[int, int]) -> None:
        """Note how many tests of some problems were told, by position."""
        self._told, self._used = self._after(told)

    def statistics(self, told: Mapping[int, int]) -> BatchStatistics | None:
        """Statistics as they are once these numbers of tests are told; None before any test of a member.

        Nothing changes before :meth:`tell`.
        """
        used = self._after(told)[1]
        if not used:
            return None
        if self._statistics is None or self._statistics[0] != used:
            self._statistics = used, self._computed(used)
        return self._statistics[1]

    def _after(self, told: Mapping[int, int]) -> tuple[dict[int, int], dict[int, int]]:
        members = {
            position: tests
            for position, tests in told.items()
            if tests and is_calibrating(position, self._problems, _MEMBERS)
        }
        if not members:
            return self._told, self._used
        after = self._told | members
        is_due = sum(after.values()) >= _GROWTH * sum(self._used.values())
        return after, after if is_due else self._used

    def _computed(self, used: Mapping[int, int]) -> BatchStatistics:
        for position, tests in used.items():
            if self._parts.get(position, (0,))[0] != tests:
                part = standing_contribution(self._evidence(position, tests))
                self._parts[position] = tests, part
        return combine_batch([self._parts[position][1] for position in sorted(used)])

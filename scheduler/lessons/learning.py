"""Lessons from recorded tests in many orders: curves, and what the doubt about picks promises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.envelope import envelope_slopes
from policies.lessons import Bins, Lesson, Lessons
from rewards.errors import UserError
from scheduler.analysis.compare.simulation import Course

FOLDS = 10

_COUNTS = (1, 2, 3, 5, 8, 12, 20, 30)
_HORIZON = 8  # tests ahead: one often changes nothing
_BINS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """What was seen of problems whose tests were shown in several orders.

    Attributes:
        selection: name of the rule that picked.
        accuracy: float64 (orders, problems, tests + 1), of the pick after so many tests; a problem that has
            fewer stays as it was at its last.
        tests: intp (problems,), how many each has.
        doubts: float64 (orders, problems, tests + 1), the chance then that the pick is wrong, as far as can
            be told without ground truth.
    """

    selection: str
    accuracy: NDArray[np.float64]
    tests: NDArray[np.intp]
    doubts: NDArray[np.float64]

    @classmethod
    def of(cls, orders: Sequence[Sequence[Course]], selection: str) -> Self:
        """Watches courses of the same problems in each order.

        Raises:
            UserError: no problem has two tests, so that nothing can be seen of what more of them do.
        """
        tests = np.array([len(course.accuracy) - 1 for course in orders[0]])
        if tests.max() < 2:
            raise UserError("lessons need problems with at least 2 tests each but got none")
        accuracy, doubts = np.empty((2, len(orders), len(tests), tests.max() + 1))
        for order, courses in enumerate(orders):
            for problem, course in enumerate(courses):
                steps = np.minimum(np.arange(tests.max() + 1), tests[problem])
                accuracy[order, problem] = course.accuracy[steps]
                doubts[order, problem] = course.doubts[steps]
        return cls(selection, accuracy, tests, doubts)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Numbers of tests at which doubts can be weighed: there are more tests to gain from."""
        return np.array([count for count in _COUNTS if count < self.tests.max()])


def learn(
    seen: Observations, problems: NDArray[np.intp], pass_rates: NDArray[np.floating] | None = None
) -> Lesson:
    """The lesson of some problems.

    Args:
        seen: of these and other problems.
        problems: positions of those to learn from.
        pass_rates: shape (all problems,), predicted ones; None learns no bins.
    """
    accuracy = seen.accuracy[:, problems]
    curve = accuracy.mean(axis=(0, 1))
    counts = seen.counts
    usual, weights = np.zeros((2, len(counts)))
    for number, count in enumerate(counts):
        able = seen.tests[problems] > count
        later = min(count + _HORIZON, accuracy.shape[2] - 1)
        rise = float(envelope_slopes(curve[np.newaxis])[0, count:later].sum())
        if able.any():
            doubts = seen.doubts[:, problems[able], count]
            usual[number] = doubts.mean()
            if able.sum() > 2 and rise > 0 and usual[number] > 0:
                gain = accuracy[:, able, later] - accuracy[:, able, count]
                weights[number] = _certain_slope(doubts / usual[number] - 1, gain) / rise
    bins = None if pass_rates is None else _bins(accuracy.mean(axis=0), pass_rates[problems])
    return Lesson(seen.selection, curve, _most(accuracy.mean(axis=0)), counts, usual, weights, bins)


def cross_learned(
    seen: Observations,
    pass_rates: NDArray[np.floating] | None = None,
    *,
    seed: int,
    folds: int = FOLDS,
) -> Lessons:
    """Lessons for the very problems that were seen, for each from those of the other folds.

    Args:
        seen: of at least two problems.
        pass_rates: shape (problems,), predicted without the problem itself; None learns no bins.
        seed: deals problems out into folds.
        folds: how many, at most.

    Raises:
        UserError: there is only one problem.
    """
    count = len(seen.tests)
    if count < 2:
        raise UserError(f"lessons for a run's own problems need at least 2 problems but got {count}")
    folds = min(folds, count)
    fold_of = np.random.default_rng(seed).permutation(count) % folds
    lessons = (learn(seen, np.flatnonzero(fold_of != fold), pass_rates) for fold in range(folds))
    return Lessons(tuple(lessons), fold_of)


def _certain_slope(excess: NDArray[np.float64], gain: NDArray[np.float64]) -> float:
    """Least-squares slope of the gain on a signal, less a standard error; 0 where it is not positive.

    A negative slope is not believed: where tests gain little on the whole, a slope of chance is large
    beside it, and would take the tests from exactly those problems whose pick is most doubtful.

    Orders of one problem are no independent cases: the standard error is clustered by problem (Liang and
    Zeger 1986, 'Longitudinal data analysis using generalized linear models').

    Args:
        excess: shape (orders, problems), of the signal over its mean.
        gain: shape (orders, problems).
    """
    variance = float((excess**2).mean())
    if variance == 0:
        return 0.0
    gain = gain - gain.mean()
    slope = float((excess * gain).mean()) / variance
    scores = (excess * (gain - slope * excess)).sum(axis=0) / gain.size
    error = float(np.sqrt((scores**2).sum())) / variance
    return max(slope - error, 0.0)


def _most(accuracy: NDArray[np.float64]) -> int | None:
    """Where mean accuracy is highest, if its fall until the end is more than a standard error.

    At least one test: whether tests do any good is known only by tests.

    Args:
        accuracy: shape (problems, tests + 1).
    """
    peak = 1 + int(accuracy[:, 1:].mean(axis=0).argmax())
    fall = accuracy[:, peak] - accuracy[:, -1]
    certain = fall.mean() > fall.std() / np.sqrt(len(fall))
    return peak if certain else None


def _bins(accuracy: NDArray[np.float64], pass_rates: NDArray[np.floating]) -> Bins:
    """Bins with equally many problems, as far as these differ in what was predicted of them."""
    edges = np.unique(np.quantile(pass_rates, np.arange(1, _BINS) / _BINS))
    bins = Bins(edges, np.empty((0, accuracy.shape[1])))
    members = bins.of(pass_rates)
    filled = np.unique(members)
    curves = np.stack([accuracy[members == number].mean(axis=0) for number in filled])
    return Bins(edges[filled[1:] - 1], curves)

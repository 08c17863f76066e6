"""Lessons from recorded tests in many orders: curves, and what signals in the votes promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from policies.envelope import envelope_slopes
from policies.lessons import Bins, Lesson, Lessons
from policies.signals import SIGNALS, signals
from rewards.errors import UserError
from scheduler.analysis.compare.simulation import Course

FOLDS = 10

_COUNTS = (1, 2, 3, 5, 8, 12, 20, 30)
_HORIZON = 8  # tests ahead: one often changes nothing
_BINS = 5
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """What was seen of problems whose tests were shown in several orders.

    Attributes:
        selection: name of the rule that picked.
        accuracy: float64 (orders, problems, tests + 1), of the pick after so many tests; a problem that has
            fewer stays as it was at its last.
        tests: intp (problems,), how many each has.
        signals: float64 (counts, orders, problems, signals), of the votes after 1, 2, 3, 5, ... tests.
    """

    selection: str
    accuracy: NDArray[np.float64]
    tests: NDArray[np.intp]
    signals: NDArray[np.float64]

    @classmethod
    def of(cls, orders: Sequence[Sequence[Course]], selection: str) -> Self:
        """Watches courses of the same problems in each order.

        Raises:
            UserError: no problem has two tests, so that nothing can be seen of what more of them do.
        """
        tests = np.array([len(course.accuracy) - 1 for course in orders[0]])
        counts = [count for count in _COUNTS if count < tests.max()]
        if not counts:
            raise UserError("lessons need problems with at least 2 tests each but got none")
        accuracy = np.empty((len(orders), len(tests), tests.max() + 1))
        for of_order, courses in zip(accuracy, orders, strict=True):
            for row, course in zip(of_order, courses, strict=True):
                row[: len(course.accuracy)] = course.accuracy
                row[len(course.accuracy) :] = course.accuracy[-1]
        seen = np.empty((len(counts), len(orders), len(tests), len(SIGNALS)))
        for of_count, count in zip(seen, counts, strict=True):
            shown = [
                course.votes(min(count, most))
                for courses in orders
                for course, most in zip(courses, tests, strict=True)
            ]
            of_count[:] = signals(shown).reshape(of_count.shape)
        return cls(selection, accuracy, tests, seen)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Numbers of tests at which signals were seen."""
        return np.array(_COUNTS[: len(self.signals)])


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
    usual, weights = np.zeros((len(counts), len(SIGNALS))), np.zeros((len(counts), len(SIGNALS)))
    for number, count in enumerate(counts):
        able = seen.tests[problems] > count
        usual[number] = seen.signals[number][:, problems][:, able].mean(axis=(0, 1)) if able.any() else 0
        later = min(count + _HORIZON, accuracy.shape[2] - 1)
        gain = accuracy[:, able, later] - accuracy[:, able, count]
        rise = float(envelope_slopes(curve[np.newaxis])[0, count:later].sum())
        if able.sum() > len(SIGNALS) and rise > 0:
            shown = seen.signals[number][:, problems][:, able]
            weights[number] = _certain_slopes(_excess(shown, usual[number]), gain) / rise
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


def _excess(shown: NDArray[np.float64], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """By which share signals exceed their means; 0 where a signal is never there."""
    return np.divide(shown, usual, out=np.ones_like(shown), where=usual > 0) - 1


def _certain_slopes(signals: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares slopes of the gain on all signals at once, each a standard error nearer to 0.

    Orders of one problem are no independent cases: standard errors are clustered by problem (Liang & Zeger
    1986, 'Longitudinal data analysis using generalized linear models').

    Args:
        signals: shape (orders, problems, signals), centred.
        gain: shape (orders, problems).
    """
    cases = gain.size
    gain = gain - gain.mean()
    moments = np.einsum("opi,opj->ij", signals, signals) / cases + _RIDGE * np.eye(signals.shape[2])
    slopes = np.linalg.solve(moments, np.einsum("opi,op->i", signals, gain) / cases)
    scores = np.einsum("opi,op->pi", signals, gain - signals @ slopes) / cases
    spread = np.linalg.solve(moments, np.linalg.solve(moments, scores.T @ scores).T)
    errors = np.sqrt(np.maximum(np.diag(spread), 0))
    return np.asarray(np.sign(slopes) * np.maximum(np.abs(slopes) - errors, 0))


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

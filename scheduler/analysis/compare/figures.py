"""From what was played to what is stated: every figure with its interval, from one bootstrap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies import Uniform
from scheduler.analysis.compare.comparison import STATIC_RULES, Cell, Fifth, Line, Race
from scheduler.analysis.compare.fields import Field
from scheduler.analysis.compare.statistics import Estimate, quintiles, resampled_means, where_reached
from scheduler.ledger import QUANTITIES, Cost

_EXECUTIONS = QUANTITIES.index("executions")


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What became of one line at one cap in each order.

    Attributes:
        accuracy: float64 (orders, problems).
        spent: float64 (orders, problems, ``QUANTITIES``).
    """

    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Equal budgets at every whole number of tests per problem.

    Attributes:
        accuracy: float64 (orders, problems, points) by name of the rule.
        spent: float64 (points, ``QUANTITIES``), per problem.
    """

    accuracy: Mapping[str, NDArray[np.float64]]
    spent: NDArray[np.float64]


class Figures:
    """The figures of all that was played.

    Args:
        lines: in the order in which they were played.
        played: by cap, then by line.
        curve: of every rule.
        truth: shape (problems,), measured pass rates.
        seed: of the intervals.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        played: Mapping[float, Sequence[Played]],
        curve: Curve,
        truth: NDArray[np.float64],
        seed: int,
    ) -> None:
        self._lines, self._played, self._truth, self._seed = lines, played, truth, seed
        self._fifths = quintiles(truth)
        flat = [np.stack([one.accuracy for one in of_cap], axis=2) for of_cap in played.values()]
        columns = [*flat, *curve.accuracy.values()]
        means = self._means(np.concatenate(columns, axis=2))
        parts = np.split(means, np.cumsum([part.shape[2] for part in columns])[:-1], axis=1)
        self._means_at = dict(zip(played, parts, strict=False))
        self._curves = dict(zip(curve.accuracy, parts[len(flat) :], strict=True))
        self._curve_spent = curve.spent
        best, other = (self._curves[rule] for rule in STATIC_RULES)
        self._static_curve = np.where(best[0] >= other[0], best, other)

    def reference(self) -> tuple[str, ...]:
        """The better of the static rules at each cap; of equals the first."""
        found = []
        for cap in self._played:
            means = self._means_at[cap][0]
            accuracy = [means[self._equal(rule)] for rule in STATIC_RULES]
            found.append(STATIC_RULES[int(np.argmax(accuracy))])
        return tuple(found)

    def cells(self) -> tuple[Cell, ...]:
        """By cap, then by line."""
        return tuple(
            self._cell(cap, number, self._equal(rule))
            for cap, rule in zip(self._played, self.reference(), strict=True)
            for number in range(len(self._lines))
        )

    def races(self, fields: Sequence[Field], counts: Sequence[int]) -> tuple[Race, ...]:
        """By rule, then by count of tests."""
        steps = np.asarray(counts, np.intp)
        changes = [field.races.accuracy - field.accuracy[:, :, steps] for field in fields]
        means = self._means(np.concatenate(changes, axis=2)) if counts else np.empty((1, 0))
        found: list[Race] = []
        for field in fields:
            for position, count in enumerate(counts):
                found.append(
                    Race(
                        field.rule.name,
                        count,
                        float(field.races.pairs[:, :, position].mean()),
                        float(field.spent[:, :, count, _EXECUTIONS].mean()),
                        float(field.races.executions[:, :, position].mean()),
                        _estimate(means[:, len(found)]),
                    )
                )
        return tuple(found)

    def _cell(self, cap: float, number: int, reference: int) -> Cell:
        line, played, means = self._lines[number], self._played[cap], self._means_at[cap]
        own, equal = means[:, number], self._equal(line.selection)
        tests = self._curve_spent[:, 0]
        reached = where_reached(own, self._static_curve, tests)
        return Cell(
            line,
            cap,
            _estimate(own),
            _estimate(own - means[:, equal]),
            _estimate(own - means[:, reference]),
            Cost(*played[number].spent.mean(axis=(0, 1)).tolist()),
            _estimate(where_reached(own, self._curves[line.selection], tests)),
            _estimate(reached),
            Cost(*(_along(reached[0], tests, spent) for spent in self._curve_spent.T)),
            tuple(
                self._fifth(fifth, played[number], played[equal], played[reference])
                for fifth in self._fifths
            ),
        )

    def _fifth(self, problems: NDArray[np.intp], played: Played, equal: Played, reference: Played) -> Fifth:
        accuracy = played.accuracy[:, problems]
        return Fifth(
            float(self._truth[problems].mean()),
            float(played.spent[:, problems, 0].mean()),
            float(accuracy.mean()),
            float((accuracy - equal.accuracy[:, problems]).mean()),
            float((accuracy - reference.accuracy[:, problems]).mean()),
        )

    def _equal(self, rule: str) -> int:
        """Which line is equal budgets with a rule."""
        return next(
            number
            for number, line in enumerate(self._lines)
            if (line.selection, line.policy) == (rule, Uniform.name)
        )

    def _means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """One row of plain means before the resampled ones: every figure is computed with its interval."""
        resampled = resampled_means(values, np.random.default_rng(self._seed))
        return np.concatenate([values.mean(axis=(0, 1))[np.newaxis], resampled])


def _along(tests: float, points: NDArray[np.float64], spent: NDArray[np.float64]) -> float:
    """What was spent at so many tests, between points by straight lines."""
    return float("inf") if np.isinf(tests) else float(np.interp(tests, points, spent))


def _estimate(values: NDArray[np.float64]) -> Estimate:
    return Estimate.of(values[0], values[1:])

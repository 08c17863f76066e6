"""What is held against what, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.registry import policy_class
from testbudget.policies.uniform import Uniform
from testbudget.rewards.selection.consensus import Consensus
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.statistics import Interval, quintiles, resampled_means, where_reached
from testbudget.scheduler.simulation import PermutedRuns
from testbudget.traces.records import QUANTITIES, Cost

DEFAULT_CAPS = (1, 2, 3, 5, 8, 12, 20)
"""Tests per problem."""

STATIC_RULES = (Majority.name, Consensus.name)
"""The static reference is equal budgets with the better of these rules."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """What is held against what.

    Attributes:
        policies: names; equal budgets are always there, since all else is held against them. None for all
            that the run allows.
        selections: names of selection rules; equal budgets with ``STATIC_RULES`` are always there.
        predictors: names; each goes with each policy that uses pass rates. None for those of ``on`` and
            ``oracle`` that the run allows.
        tests_per_problem: caps, as the mean number of tests per problem; the cap is the whole number of
            tests that this comes to. None for those of ``DEFAULT_CAPS`` that the run has tests for.
        orders: random orders of each problem's tests to average over.
        z: how sure it must be that a candidate has lost before its race is over; see
            ``rewards.racing.still_racing``.
        seed: of orders, blurring, folds, policies and intervals.
    """

    policies: Sequence[str] | None = None
    selections: Sequence[str] = (*STATIC_RULES, "auto")
    predictors: Sequence[str] | None = None
    tests_per_problem: Sequence[float] | None = None
    orders: int = 20
    z: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CurveResult:
    """A policy with what it believes and the rule that picks.

    Attributes:
        selection: name of the rule.
        policy: name of the policy.
        predictor: None for a policy that uses no pass rates.
        correlation: of the believed with the measured pass rates, by rank; 0 without a predictor.
    """

    selection: str
    policy: str
    predictor: str | None
    correlation: float

    @property
    def allocation(self) -> str:
        """Policy and predictor in a word or two."""
        return f"{self.policy} {self.predictor}" if self.predictor else self.policy

    @property
    def name(self) -> str:
        """All in a few words."""
        return f"{self.selection}, {self.allocation}"

    @property
    def knows_truth(self) -> bool:
        """Whether it can only be had in an analysis: it looks at the labels of its own problems."""
        return policy_class(self.policy).uses_curves or self.predictor not in (None, "off", "on")


@dataclass(frozen=True, slots=True)
class QuintileResult:
    """What a fifth of the problems, by measured pass rate, got and made of it.

    Attributes:
        pass_rate: mean of the measured ones.
        tests: per problem.
        accuracy: of the picks.
        gain: in accuracy, over equal budgets with the same rule at the same cap.
        lead: in accuracy, over the static reference at the same cap.
    """

    pass_rate: float
    tests: float
    accuracy: float
    gain: float
    lead: float


@dataclass(frozen=True, slots=True)
class GridCell:
    """One line at one cap; means over problems and orders.

    Attributes:
        tests_per_problem: the cap.
        accuracy: of the picks.
        gain: in accuracy, over equal budgets with the same rule at the same cap.
        lead: in accuracy, over the static reference at the same cap.
        spent: per problem.
        uniform_tests: tests per problem with which equal budgets, with the same rule, first have this
            accuracy; infinite if they never do.
        reference_tests: the same of the static reference.
        needed: what the static reference spends per problem for this accuracy.
        fifths: from the hardest problems to the easiest.
    """

    line: CurveResult
    tests_per_problem: float
    accuracy: Interval
    gain: Interval
    lead: Interval
    spent: Cost
    uniform_tests: Interval
    reference_tests: Interval
    needed: Cost
    fifths: tuple[QuintileResult, ...]


@dataclass(frozen=True, slots=True)
class EliminationResult:
    """What racing does to equal budgets with one rule at one cap, per problem.

    Attributes:
        pairs: of candidates and tests with a verdict.
        distinct: executions, if candidates that are the same program run once.
        raced: executions, if moreover those that can no longer win are left out.
        change: in accuracy, by racing.
    """

    selection: str
    tests_per_problem: float
    pairs: float
    distinct: float
    raced: float
    change: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of it.

    Attributes:
        run: name of the run.
        settings: what was asked for.
        caps: tests per problem, in the order asked for.
        problems: how many.
        pass_at_1: accuracy of a random candidate, which costs no test.
        solvable: share of problems with a right candidate, which no selection can pass.
        lines: by rule, then by policy and predictor, equal budgets first.
        cells: by cap, then by line.
        reference: the rule of the static reference at each cap.
        races: by rule, then by cap; without caps for which the tests do not come out even.
        notes: what could not be had with this run, in sentences.
    """

    run: str
    settings: CompareSettings
    caps: tuple[float, ...]
    problems: int
    pass_at_1: float
    solvable: float
    lines: tuple[CurveResult, ...]
    cells: tuple[GridCell, ...]
    reference: tuple[str, ...]
    races: tuple[EliminationResult, ...]
    notes: tuple[str, ...]

    def along(self, line: CurveResult) -> list[GridCell]:
        """The cells of one line, in the order of the caps."""
        return [cell for cell in self.cells if cell.line == line]

    def at(self, cap: float) -> list[GridCell]:
        """The cells at one cap, in the order of the lines."""
        return [cell for cell in self.cells if cell.tests_per_problem == cap]

    def best(self, cap: float) -> GridCell:
        """The most accurate of those that can be had without the truth; of equals the first."""
        return max(
            (c for c in self.at(cap) if not c.line.knows_truth), key=lambda cell: cell.accuracy.value
        )

    def static(self, cap: float) -> GridCell:
        """The static reference."""
        rule = self.reference[self.caps.index(cap)]
        return next(
            cell
            for cell in self.at(cap)
            if cell.line.selection == rule and cell.line.policy == Uniform.name
        )


# ~ """From what was played to what is stated: every figure with its interval, from one bootstrap."""


_EXECUTIONS = QUANTITIES.index("executions")


@dataclass(frozen=True, slots=True, eq=False)
class PolicyResult:
    """What became of one line at one cap in each order.

    Attributes:
        accuracy: float64 (orders, problems).
        spent: float64 (orders, problems, ``QUANTITIES``).
    """

    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RuleCurve:
    """Equal budgets at every whole number of tests per problem.

    Attributes:
        accuracy: float64 (orders, problems, points) by name of the rule.
        spent: float64 (points, ``QUANTITIES``), per problem.
    """

    accuracy: Mapping[str, NDArray[np.float64]]
    spent: NDArray[np.float64]


class CurveIntervals:
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
        lines: Sequence[CurveResult],
        played: Mapping[float, Sequence[PolicyResult]],
        curve: RuleCurve,
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

    def cells(self) -> tuple[GridCell, ...]:
        """By cap, then by line."""
        return tuple(
            self._cell(cap, number, self._equal(rule))
            for cap, rule in zip(self._played, self.reference(), strict=True)
            for number in range(len(self._lines))
        )

    def races(self, fields: Sequence[PermutedRuns], counts: Sequence[int]) -> tuple[EliminationResult, ...]:
        """By rule, then by count of tests."""
        steps = np.asarray(counts, np.intp)
        changes = [field.races.accuracy - field.accuracy[:, :, steps] for field in fields]
        means = self._means(np.concatenate(changes, axis=2)) if counts else np.empty((1, 0))
        found: list[EliminationResult] = []
        for field in fields:
            for position, count in enumerate(counts):
                found.append(
                    EliminationResult(
                        field.rule.name,
                        count,
                        float(field.races.pairs[:, :, position].mean()),
                        float(field.spent[:, :, count, _EXECUTIONS].mean()),
                        float(field.races.executions[:, :, position].mean()),
                        _estimate(means[:, len(found)]),
                    )
                )
        return tuple(found)

    def _cell(self, cap: float, number: int, reference: int) -> GridCell:
        line, played, means = self._lines[number], self._played[cap], self._means_at[cap]
        own, equal = means[:, number], self._equal(line.selection)
        tests = self._curve_spent[:, 0]
        reached = where_reached(own, self._static_curve, tests)
        return GridCell(
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

    def _fifth(
        self, problems: NDArray[np.intp], played: PolicyResult, equal: PolicyResult, reference: PolicyResult
    ) -> QuintileResult:
        accuracy = played.accuracy[:, problems]
        return QuintileResult(
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


def _estimate(values: NDArray[np.float64]) -> Interval:
    return Interval.of(values[0], values[1:])

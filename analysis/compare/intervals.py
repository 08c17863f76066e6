"""Figures of a comparison with intervals, all from one bootstrap over problems and permutations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.compare.results import (
    Combination,
    EliminationResult,
    GridCell,
    QuintileResult,
    SmallestCap,
)
from testbudget.analysis.compare.settings import STATIC_RULES
from testbudget.analysis.permuted_runs import PermutedRuns
from testbudget.policies.uniform import Uniform
from testbudget.rewards.bootstrap import bootstrap_means, equal_parts, first_crossing, intervals
from testbudget.traces.records import QUANTITIES, Cost

_EXECUTIONS = QUANTITIES.index("executions")


@dataclass(frozen=True, slots=True, eq=False)
class PolicyResult:
    """Accuracy and cost of budgets in one permutation of the tests, or in several.

    Attributes:
        accuracy: float64 (problems,) or (permutations, problems), accuracy of the picks.
        spent: float64 (problems, ``QUANTITIES``) or (permutations, problems, ``QUANTITIES``), cost; NaN if
            unmeasured.
    """

    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class UniformCurve:
    """Equal budgets at every whole number of tests per problem, from 0 on.

    Attributes:
        accuracy: float64 (permutations, problems, counts), accuracy of the picks, by name of the rule.
        spent: float64 (counts, ``QUANTITIES``), mean cost per problem; NaN if unmeasured.
    """

    accuracy: Mapping[str, NDArray[np.float64]]
    spent: NDArray[np.float64]


class CurveIntervals:
    """Means of all results with bootstrap resamples, and figures with intervals from them.

    All combinations share the same resamples, so differences are paired by problem and by permutation.

    Args:
        combinations: in the order of the results.
        results: by cap, then by combination.
        curve: equal budgets with every rule.
        truth: float64 (problems,), measured pass rates.
        seed: seed of the bootstrap.
    """

    def __init__(
        self,
        combinations: Sequence[Combination],
        results: Mapping[float, Sequence[PolicyResult]],
        curve: UniformCurve,
        truth: NDArray[np.float64],
        seed: int,
    ) -> None:
        self._combinations, self._results, self._truth, self._seed = combinations, results, truth, seed
        self._quintiles = equal_parts(truth, 5)
        stacked = [np.stack([one.accuracy for one in at_cap], axis=2) for at_cap in results.values()]
        columns = [*stacked, *curve.accuracy.values()]
        means = bootstrap_means(np.concatenate(columns, axis=2), seed)
        parts = np.split(means, np.cumsum([part.shape[2] for part in columns])[:-1], axis=1)
        self._means_at = dict(zip(results, parts, strict=False))
        self._curves = dict(zip(curve.accuracy, parts[len(stacked) :], strict=True))
        self._curve_spent = curve.spent
        first, second = (self._curves[rule] for rule in STATIC_RULES)
        self._static_curve = np.where(first[0] >= second[0], first, second)

    def reference_rules(self) -> tuple[str, ...]:
        """The more accurate static rule at each cap; the first if they are equal."""
        found = []
        for cap in self._results:
            means = self._means_at[cap][0]
            accuracy = [means[self._uniform(rule)] for rule in STATIC_RULES]
            found.append(STATIC_RULES[int(np.argmax(accuracy))])
        return tuple(found)

    def grid(self) -> tuple[GridCell, ...]:
        """Figures by cap, then by combination."""
        return tuple(
            self._cell(cap, number, self._uniform(rule))
            for cap, rule in zip(self._results, self.reference_rules(), strict=True)
            for number in range(len(self._combinations))
        )

    def smallest_caps(self, wanted: float) -> tuple[SmallestCap, ...]:
        """Smallest cap with which each combination reaches an accuracy, by combination."""
        caps = sorted(self._results)
        points = np.array([0.0, *caps])
        reached = []
        for number, combination in enumerate(self._combinations):
            untested = self._curves[combination.selection][:, 0]
            curve = np.stack([untested, *(self._means_at[cap][:, number] for cap in caps)], axis=1)
            reached.append(first_crossing(np.full(len(curve), wanted), curve, points))
        found = intervals(np.stack(reached, axis=1))
        return tuple(SmallestCap(*pair) for pair in zip(self._combinations, found, strict=True))

    def eliminations(
        self, runs: Sequence[PermutedRuns], counts: Sequence[int]
    ) -> tuple[EliminationResult, ...]:
        """Effect of elimination by rule, then by number of tests."""
        steps = np.asarray(counts, np.intp)
        changes = [of_rule.elimination.accuracy - of_rule.accuracy[:, :, steps] for of_rule in runs]
        changed = intervals(bootstrap_means(np.concatenate(changes, axis=2), self._seed)) if counts else []
        return tuple(
            EliminationResult(
                selection=of_rule.rule.name,
                tests_per_problem=count,
                pairs=float(of_rule.elimination.pairs[:, :, position].mean()),
                distinct=float(of_rule.spent[:, :, count, _EXECUTIONS].mean()),
                survivors=float(of_rule.elimination.executions[:, :, position].mean()),
                change=changed[number * len(counts) + position],
            )
            for number, of_rule in enumerate(runs)
            for position, count in enumerate(counts)
        )

    def _cell(self, cap: float, number: int, reference: int) -> GridCell:
        combination, results, means = self._combinations[number], self._results[cap], self._means_at[cap]
        uniform = self._uniform(combination.selection)
        own, tests = means[:, number], self._curve_spent[:, 0]
        reached = first_crossing(own, self._static_curve, tests)
        accuracy, vs_uniform, vs_reference, uniform_tests, reference_tests = intervals(
            np.stack(
                [
                    own,
                    own - means[:, uniform],
                    own - means[:, reference],
                    first_crossing(own, self._curves[combination.selection], tests),
                    reached,
                ],
                axis=1,
            )
        )
        return GridCell(
            combination=combination,
            tests_per_problem=cap,
            accuracy=accuracy,
            vs_uniform=vs_uniform,
            vs_reference=vs_reference,
            spent=Cost(*results[number].spent.mean(axis=(0, 1)).tolist()),
            uniform_tests=uniform_tests,
            reference_tests=reference_tests,
            needed=Cost(*(_interpolated(reached[0], tests, spent) for spent in self._curve_spent.T)),
            quintiles=tuple(
                self._quintile(problems, results[number], results[uniform], results[reference])
                for problems in self._quintiles
            ),
        )

    def _quintile(
        self,
        problems: NDArray[np.intp],
        result: PolicyResult,
        uniform: PolicyResult,
        reference: PolicyResult,
    ) -> QuintileResult:
        accuracy = result.accuracy[:, problems]
        return QuintileResult(
            float(self._truth[problems].mean()),
            float(result.spent[:, problems, 0].mean()),
            float(accuracy.mean()),
            float((accuracy - uniform.accuracy[:, problems]).mean()),
            float((accuracy - reference.accuracy[:, problems]).mean()),
        )

    def _uniform(self, rule: str) -> int:
        """Position of the combination of a rule with equal budgets."""
        return next(
            number
            for number, combination in enumerate(self._combinations)
            if (combination.selection, combination.policy) == (rule, Uniform.name)
        )


def _interpolated(tests: float, points: NDArray[np.float64], spent: NDArray[np.float64]) -> float:
    """Cost at a number of tests, linear between points; infinite for infinitely many tests."""
    return float("inf") if np.isinf(tests) else float(np.interp(tests, points, spent))

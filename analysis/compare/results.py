"""Figures of a comparison as values: a grid of combinations and caps, and the effect of elimination."""

from collections.abc import Sequence
from dataclasses import dataclass

from testbudget.analysis.compare.settings import CompareSettings
from testbudget.policies.registry import policy_class
from testbudget.policies.uniform import Uniform
from testbudget.rewards.bootstrap import Interval
from testbudget.traces.agreement import Score
from testbudget.traces.records import Cost

_WITHOUT_TRUTH = (None, "none", "learned")


@dataclass(frozen=True, slots=True)
class Combination:
    """A selection rule with an allocation policy and a predictor of pass rates.

    Attributes:
        selection: name of the rule.
        policy: name of the policy.
        predictor: name of the predictor; None for a policy that uses no pass rates.
        correlation: Spearman correlation of predicted and measured pass rates; 0 without a predictor.
    """

    selection: str
    policy: str
    predictor: str | None
    correlation: float

    @property
    def allocation(self) -> str:
        """Policy and predictor, for example ``greedy learned``."""
        return f"{self.policy} {self.predictor}" if self.predictor else self.policy

    @property
    def name(self) -> str:
        """Rule, policy and predictor, for example ``calibrated, greedy learned``."""
        return f"{self.selection}, {self.allocation}"

    @property
    def knows_truth(self) -> bool:
        """True if it reads labels of the problems that it allocates tests to, so no run can use it."""
        return "curves" in policy_class(self.policy).needs or self.predictor not in _WITHOUT_TRUTH


@dataclass(frozen=True, slots=True)
class QuintileResult:
    """Means over one quintile of the problems by measured pass rate.

    Attributes:
        pass_rate: measured pass rate, in [0, 1].
        tests: tests per problem.
        accuracy: accuracy of the picks, in [0, 1].
        vs_uniform: accuracy minus that of equal budgets with the same rule at the same cap.
        vs_reference: accuracy minus that of the static reference at the same cap.
    """

    pass_rate: float
    tests: float
    accuracy: float
    vs_uniform: float
    vs_reference: float


@dataclass(frozen=True, slots=True)
class GridCell:
    """One combination at one cap; means over problems and permutations.

    Attributes:
        combination: rule, policy and predictor.
        tests_per_problem: the cap.
        accuracy: accuracy of the picks, in [0, 1].
        vs_uniform: accuracy minus that of equal budgets with the same rule at the same cap.
        vs_reference: accuracy minus that of the static reference at the same cap.
        spent: cost per problem; NaN if unmeasured.
        uniform_tests: tests per problem at which equal budgets with the same rule first have this
            accuracy; infinite if they never do.
        reference_tests: tests per problem at which the static reference first has this accuracy; infinite
            if it never does.
        needed: cost per problem of the static reference at ``reference_tests``.
        quintiles: from the hardest problems to the easiest.
    """

    combination: Combination
    tests_per_problem: float
    accuracy: Interval
    vs_uniform: Interval
    vs_reference: Interval
    spent: Cost
    uniform_tests: Interval
    reference_tests: Interval
    needed: Cost
    quintiles: tuple[QuintileResult, ...]


@dataclass(frozen=True, slots=True)
class EliminationResult:
    """Effect of elimination on equal budgets with one rule at one cap; means per problem.

    Attributes:
        selection: name of the rule.
        tests_per_problem: the cap.
        pairs: (candidate, test) pairs with a verdict.
        distinct: executions of distinct programs.
        survivors: executions of distinct programs that are not eliminated.
        change: accuracy with elimination minus accuracy without.
    """

    selection: str
    tests_per_problem: float
    pairs: float
    distinct: float
    survivors: float
    change: Interval


@dataclass(frozen=True, slots=True)
class SmallestCap:
    """Smallest cap with which a combination reaches the accuracy that is wanted.

    Attributes:
        combination: rule, policy and predictor.
        tests_per_problem: the cap, linear between the caps of the comparison and from 0 tests on; infinite
            if no cap of the comparison is enough.
    """

    combination: Combination
    tests_per_problem: Interval


@dataclass(frozen=True, slots=True)
class PolicyComparison:
    """All figures of a comparison.

    Attributes:
        run: name of the run.
        score: what accuracy stands for in all figures. A run without labels has agreement: the share of
            picks that are equal to those of all recorded tests.
        settings: settings of the comparison.
        caps: tests per problem, in the order of the settings.
        problems: number of problems.
        pass_at_1: accuracy of a random candidate, which needs no test.
        solvable: share of problems with a correct candidate, the upper bound of accuracy.
        combinations: by rule, then by policy and predictor, equal budgets first.
        grid: by cap, then by combination.
        reference_rules: rule of the static reference at each cap.
        eliminations: by rule, then by cap, for caps that are whole numbers of tests.
        notes: sentences about defaults that were left out for this run.
        smallest_caps: by combination, if an accuracy is wanted.
    """

    run: str
    score: Score
    settings: CompareSettings
    caps: tuple[float, ...]
    problems: int
    pass_at_1: float
    solvable: float
    combinations: tuple[Combination, ...]
    grid: tuple[GridCell, ...]
    reference_rules: tuple[str, ...]
    eliminations: tuple[EliminationResult, ...]
    notes: tuple[str, ...]
    smallest_caps: tuple[SmallestCap, ...] = ()

    def along(self, combination: Combination) -> list[GridCell]:
        """One combination at every cap, in the order of ``caps``."""
        return [cell for cell in self.grid if cell.combination == combination]

    def at(self, cap: float) -> list[GridCell]:
        """Every combination at one cap, in the order of ``combinations``."""
        return [cell for cell in self.grid if cell.tests_per_problem == cap]

    def best(self, cap: float) -> GridCell:
        """The most accurate combination that a run can use, at one cap; the first of equal ones."""
        usable = [cell for cell in self.at(cap) if not cell.combination.knows_truth]
        return most_accurate(usable)

    def reference(self, cap: float) -> GridCell:
        """The static reference at one cap."""
        rule = self.reference_rules[self.caps.index(cap)]
        return next(
            cell
            for cell in self.at(cap)
            if cell.combination.selection == rule and cell.combination.policy == Uniform.name
        )


def most_accurate(cells: Sequence[GridCell]) -> GridCell:
    """The cell with the highest accuracy; the first of equal ones."""
    return max(cells, key=lambda cell: cell.accuracy.value)

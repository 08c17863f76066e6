"""What is held against what, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from policies import Uniform, policy_class
from rewards.selection import Consensus, Majority
from scheduler.analysis.compare.statistics import Estimate
from scheduler.ledger import Cost

USUAL_CAPS = (1, 2, 3, 5, 8, 12, 20)
"""Tests per problem."""

STATIC_RULES = (Majority.name, Consensus.name)
"""The static reference is equal budgets with the better of these rules."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is held against what.

    Attributes:
        policies: names; equal budgets are always there, since all else is held against them. None for all
            that the run allows.
        selections: names of selection rules; equal budgets with ``STATIC_RULES`` are always there.
        predictors: names; each goes with each policy that uses pass rates. None for those of ``on`` and
            ``oracle`` that the run allows.
        tests_per_problem: caps, as the mean number of tests per problem; the cap is the whole number of
            tests that this comes to. None for those of ``USUAL_CAPS`` that the run has tests for.
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
class Line:
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
class Fifth:
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
class Cell:
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

    line: Line
    tests_per_problem: float
    accuracy: Estimate
    gain: Estimate
    lead: Estimate
    spent: Cost
    uniform_tests: Estimate
    reference_tests: Estimate
    needed: Cost
    fifths: tuple[Fifth, ...]


@dataclass(frozen=True, slots=True)
class Race:
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
    change: Estimate


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
    settings: Settings
    caps: tuple[float, ...]
    problems: int
    pass_at_1: float
    solvable: float
    lines: tuple[Line, ...]
    cells: tuple[Cell, ...]
    reference: tuple[str, ...]
    races: tuple[Race, ...]
    notes: tuple[str, ...]

    def along(self, line: Line) -> list[Cell]:
        """The cells of one line, in the order of the caps."""
        return [cell for cell in self.cells if cell.line == line]

    def at(self, cap: float) -> list[Cell]:
        """The cells at one cap, in the order of the lines."""
        return [cell for cell in self.cells if cell.tests_per_problem == cap]

    def best(self, cap: float) -> Cell:
        """The most accurate of those that can be had without the truth; of equals the first."""
        return max(
            (c for c in self.at(cap) if not c.line.knows_truth), key=lambda cell: cell.accuracy.value
        )

    def static(self, cap: float) -> Cell:
        """The static reference."""
        rule = self.reference[self.caps.index(cap)]
        return next(
            cell
            for cell in self.at(cap)
            if cell.line.selection == rule and cell.line.policy == Uniform.name
        )

"""What is held against what, and what became of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.analysis.compare.statistics import Estimate
from scheduler.ledger import Cost

USUAL_CAPS = (1, 2, 3, 5, 8, 12, 20)
"""Tests per problem."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is held against what.

    Attributes:
        policies: names; equal budgets are always there, since all else is held against them.
        selection: name of the selection rule.
        predictors: names; each goes with each policy that uses pass rates.
        tests_per_problem: caps, as the mean number of tests per problem; the cap is the whole number of
            tests that this comes to. None for those of ``USUAL_CAPS`` that the run has tests for.
        orders: random orders of each problem's tests to average over.
        seed: of orders, blurring, folds, policies and intervals.
    """

    policies: Sequence[str] = ("uniform", "greedy")
    selection: str = "majority"
    predictors: Sequence[str] = ("off", "on", "oracle", "blurred:0.6", "calibrated:0.6")
    tests_per_problem: Sequence[float] | None = None
    orders: int = 20
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A policy with what it believes.

    Attributes:
        predictor: None for a policy that uses no pass rates.
        correlation: of the believed with the measured pass rates, by rank; 0 without a predictor.
    """

    policy: str
    predictor: str | None
    correlation: float

    @property
    def name(self) -> str:
        """In one word or two."""
        return f"{self.policy} {self.predictor}" if self.predictor else self.policy


@dataclass(frozen=True, slots=True)
class Fifth:
    """What a fifth of the problems, by measured pass rate, got and made of it.

    Attributes:
        pass_rate: mean of the measured ones.
        tests: per problem.
        accuracy: of the picks.
        gain: in accuracy, over equal budgets at the same cap.
    """

    pass_rate: float
    tests: float
    accuracy: float
    gain: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One line at one cap; means over problems and orders.

    Attributes:
        tests_per_problem: the cap.
        accuracy: of the picks.
        gain: in accuracy, over equal budgets at the same cap.
        spent: per problem.
        uniform_tests: tests per problem with which equal budgets first have this accuracy; infinite if
            they never do.
        fifths: from the hardest problems to the easiest.
    """

    line: Line
    tests_per_problem: float
    accuracy: Estimate
    gain: Estimate
    spent: Cost
    uniform_tests: Estimate
    fifths: tuple[Fifth, ...]

    @property
    def cost_ratio(self) -> float:
        """Tests spent, as a share of what equal budgets need for the same accuracy."""
        needed = self.uniform_tests.value
        return self.spent.tests / needed if needed else math.inf


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of it.

    Attributes:
        run: name of the run.
        settings: what was asked for.
        problems: how many.
        pass_at_1: accuracy of a random candidate, which costs no test.
        solvable: share of problems with a right candidate, which no selection can pass.
        lines: in the order of policies and predictors, equal budgets first.
        cells: by cap, then by line.
        uniform_curve: (tests per problem, accuracy) of equal budgets for each whole number of tests.
    """

    run: str
    settings: Settings
    problems: int
    pass_at_1: float
    solvable: float
    lines: tuple[Line, ...]
    cells: tuple[Cell, ...]
    uniform_curve: tuple[tuple[float, float], ...]

    def along(self, line: Line) -> list[Cell]:
        """The cells of one line, in the order of the caps."""
        return [cell for cell in self.cells if cell.line == line]

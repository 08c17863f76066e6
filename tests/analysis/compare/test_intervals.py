"""Figures of a comparison from results with known means."""

import numpy as np
import pytest

from testbudget.analysis.compare.intervals import CurveIntervals, PolicyResult, UniformCurve
from testbudget.analysis.compare.results import Combination
from testbudget.traces.records import QUANTITIES

PERMUTATIONS, PROBLEMS, MAX_TESTS = 3, 10, 4
RULES = ("majority", "consensus")


def spent(tests: float) -> np.ndarray:
    return np.full((PERMUTATIONS, PROBLEMS, len(QUANTITIES)), float(tests))


def result(accuracy: float, tests: float) -> PolicyResult:
    return PolicyResult(np.full((PERMUTATIONS, PROBLEMS), accuracy), spent(tests))


@pytest.fixture
def figures():
    """Majority rises from 0.2 by 0.1 a test, consensus from 0.3 by 0.05; greedy has 0.55 at cap 2."""
    combinations = [*(Combination(rule, "uniform", None, 0.0) for rule in RULES)]
    combinations.append(Combination("majority", "greedy", "none", 0.0))
    counts = np.arange(MAX_TESTS + 1)
    shape = (PERMUTATIONS, PROBLEMS, len(counts))
    curve = UniformCurve(
        {
            "majority": np.broadcast_to(0.2 + 0.1 * counts, shape),
            "consensus": np.broadcast_to(0.3 + 0.05 * counts, shape),
        },
        np.repeat(counts[:, np.newaxis].astype(float), len(QUANTITIES), axis=1),
    )
    results = {
        1.0: [result(0.3, 1), result(0.35, 1), result(0.3, 1)],
        2.0: [result(0.4, 2), result(0.4, 2), result(0.55, 2)],
    }
    return CurveIntervals(combinations, results, curve, np.linspace(0, 1, PROBLEMS), seed=0)


def test_the_reference_has_the_more_accurate_rule_and_the_first_of_equal_ones(figures):
    assert figures.reference_rules() == ("consensus", "majority")


def test_cells_hold_differences_and_tests_for_the_same_accuracy(figures):
    *_, greedy = figures.grid()
    assert greedy.tests_per_problem == 2
    assert greedy.accuracy.value == pytest.approx(0.55)
    assert greedy.vs_uniform.value == greedy.vs_reference.value == pytest.approx(0.15)
    assert greedy.uniform_tests.value == greedy.reference_tests.value == pytest.approx(3.5)
    assert greedy.needed.tokens == pytest.approx(3.5)
    assert [quintile.tests for quintile in greedy.quintiles] == [2] * 5
    assert greedy.quintiles[0].pass_rate < greedy.quintiles[-1].pass_rate


def test_an_accuracy_that_equal_budgets_never_have_needs_infinitely_many_tests(figures):
    uniform = UniformCurve(
        {rule: np.zeros((PERMUTATIONS, PROBLEMS, 2)) for rule in RULES}, np.zeros((2, len(QUANTITIES)))
    )
    combinations = [Combination(rule, "uniform", None, 0.0) for rule in RULES]
    results = {1.0: [result(0.5, 1), result(0.5, 1)]}
    cell = CurveIntervals(combinations, results, uniform, np.linspace(0, 1, PROBLEMS), seed=0).grid()[0]
    assert np.isinf(cell.reference_tests.value)
    assert np.isinf(cell.needed.tests)

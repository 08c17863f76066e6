"""Which rule picks best, by how good the tests are: all rules on the recorded run and on parts of it."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from parts import REGIMES, SEED, Choice, Problem, all_tests, problems_of_the_run, shown

from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.statistics import bootstrap_means, intervals

COUNTS = (1, 2, 3, 5, 8, 20, 100)
_HARD = 0.35  # share of right candidates


def accuracies(
    problems: Sequence[Problem], choose: Choice, rules: Sequence[str], candidates: int, order: int
) -> NDArray[np.float64]:
    """Accuracy of each rule's picks in one order of the tests, shape (problems, rules, counts)."""
    drawn = []
    for number, problem in enumerate(problems):
        random = np.random.default_rng([SEED, number, order])
        chosen = np.sort(random.permutation(len(problem.correct))[:candidates])
        drawn.append((shown(problem, choose(problem, random), chosen), problem.correct[chosen]))
    batch = batch_statistics(evidence for evidence, _ in drawn)
    result = np.zeros((len(problems), len(rules), len(COUNTS)))
    for row, (evidence, correct) in zip(result, drawn, strict=True):
        known = replace(evidence, batch=batch)
        counts = [min(count, known.votes.tests) for count in COUNTS]
        for column, rule in enumerate(rules):
            won = selection_rule(rule).winners_after(known, counts)
            row[column] = (won & correct).sum(axis=1) / won.sum(axis=1)
    return result


def table(values: NDArray[np.float64], rules: Sequence[str]) -> dict[str, Any]:
    """Accuracy in %, and its difference to the majority vote's with intervals, by rule and count.

    Args:
        values: shape (orders, problems, rules, counts).
        rules: the majority vote first.
    """
    flat = 100 * values.reshape(*values.shape[:2], -1)
    means = bootstrap_means(flat, SEED).reshape(-1, *values.shape[2:])
    figures: dict[str, Any] = {}
    for column, rule in enumerate(rules):
        figures[rule] = {
            "accuracy": [round(float(value), 1) for value in means[0, column]],
            "against majority": [
                [round(bound, 1) for bound in (gain.value, gain.low, gain.high)]
                for gain in intervals(means[:, column] - means[:, 0])
            ],
        }
    return figures


def show(name: str, figures: dict[str, Any]) -> None:
    """Prints a regime's table: accuracy, and the interval of its difference to the majority vote's."""
    print(f"\n{name}")
    print(f"{'tests':<14}" + "".join(f"{count:>20}" for count in COUNTS))
    for rule, of_rule in figures.items():
        cells = [
            f"{accuracy:.1f} [{low:+5.1f}, {high:+5.1f}]"
            for accuracy, (_, low, high) in zip(
                of_rule["accuracy"], of_rule["against majority"], strict=True
            )
        ]
        print(f"{rule:<14}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def benchmark(problems: Sequence[Problem], candidates: Sequence[int], orders: int) -> dict[str, Any]:
    """All tables, by regime and number of candidates."""
    figures: dict[str, Any] = {}
    for count in candidates:
        for regime, choose in REGIMES.items():
            values = np.stack(
                [accuracies(problems, choose, SELECTION_RULES, count, order) for order in range(orders)]
            )
            name = f"{regime}, {count} candidates"
            figures[name] = table(values, SELECTION_RULES)
            show(name, figures[name])
            hard = [number for number, problem in enumerate(problems) if problem.correct.mean() <= _HARD]
            if choose is all_tests and hard:
                name = f"hard problems, {count} candidates"
                figures[name] = table(values[:, hard], SELECTION_RULES)
                show(name, figures[name])
    return figures


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=10, help="random orders of the tests (default: 10)")
    parser.add_argument("--quick", action="store_true", help="40 problems, 2 orders, 100 candidates")
    arguments = parser.parse_args()
    problems = problems_of_the_run()
    if arguments.quick:
        figures = benchmark(problems[::4], [100], 2)
    else:
        figures = benchmark(problems, [100, 16], arguments.orders)
    print()
    print(json.dumps({"counts": COUNTS, "regimes": figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

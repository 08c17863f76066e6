"""Accuracy of every selection rule on better and worse tests: the recorded run and parts of it."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recorded_parts import PARTS, SEED, LabeledProblem, PartChoice, all_tests, evidence_of, labeled_problems

from testbudget.rewards.bootstrap import bootstrap_means, intervals
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.rewards.selection.registry import selection_rule

COUNTS = (1, 2, 3, 5, 8, 20, 100)
_HARD = 0.35  # largest share of correct candidates of a hard problem


def accuracies(
    problems: Sequence[LabeledProblem],
    choose: PartChoice,
    rules: Sequence[str],
    candidates: int,
    permutation: int,
) -> NDArray[np.float64]:
    """Accuracy of each rule's picks in one permutation of the tests, float64 (problems, rules, counts)."""
    drawn = []
    for number, problem in enumerate(problems):
        random = np.random.default_rng([SEED, number, permutation])
        chosen = np.sort(random.permutation(len(problem.correct))[:candidates])
        drawn.append((evidence_of(problem, choose(problem, random), chosen), problem.correct[chosen]))
    batch = batch_statistics(evidence for evidence, _ in drawn)
    result = np.zeros((len(problems), len(rules), len(COUNTS)))
    for row, (evidence, correct) in zip(result, drawn, strict=True):
        known = replace(evidence, batch=batch)
        counts = [min(count, known.votes.tests) for count in COUNTS]
        for column, rule in enumerate(rules):
            won = selection_rule(rule).winners_after(known, counts)
            row[column] = (won & correct).sum(axis=1) / won.sum(axis=1)
    return result


def accuracy_table(values: NDArray[np.float64], rules: Sequence[str]) -> dict[str, Any]:
    """Accuracy in %, and its difference to that of majority with intervals, by rule and count.

    Args:
        values: float64 (permutations, problems, rules, counts).
        rules: majority first.
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
    """Print the table of a part: accuracy, and the interval of its difference to that of majority."""
    print(f"\n{name}")
    print(f"{'tests':<14}" + "".join(f"{count:>20}" for count in COUNTS))
    for rule, of_rule in figures.items():
        texts = [
            f"{accuracy:.1f} [{low:+5.1f}, {high:+5.1f}]"
            for accuracy, (_, low, high) in zip(
                of_rule["accuracy"], of_rule["against majority"], strict=True
            )
        ]
        print(f"{rule:<14}" + "".join(f"{text:>20}" for text in texts), flush=True)


def benchmark(
    problems: Sequence[LabeledProblem], candidates: Sequence[int], permutations: int
) -> dict[str, Any]:
    """All tables, by part and number of candidates."""
    figures: dict[str, Any] = {}
    for count in candidates:
        for part, choose in PARTS.items():
            values = np.stack(
                [
                    accuracies(problems, choose, SELECTION_RULES, count, permutation)
                    for permutation in range(permutations)
                ]
            )
            name = f"{part}, {count} candidates"
            figures[name] = accuracy_table(values, SELECTION_RULES)
            show(name, figures[name])
            hard = [number for number, problem in enumerate(problems) if problem.correct.mean() <= _HARD]
            if choose is all_tests and hard:
                name = f"hard problems, {count} candidates"
                figures[name] = accuracy_table(values[:, hard], SELECTION_RULES)
                show(name, figures[name])
    return figures


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--permutations", type=int, default=10, help="of the tests (default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="every fourth problem, 2 permutations, 100 candidates"
    )
    arguments = parser.parse_args()
    problems = labeled_problems()
    if arguments.quick:
        figures = benchmark(problems[::4], [100], 2)
    else:
        figures = benchmark(problems, [100, 16], arguments.permutations)
    print()
    print(json.dumps({"counts": COUNTS, "parts": figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

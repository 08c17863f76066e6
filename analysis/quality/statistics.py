"""Statistics of the tests of one problem, from which rates over all problems are made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.quality import TestQuality, accuracy_of_winners, combined_test_quality
from testbudget.rewards.quality import single_test_quality as quality_of_singles
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.votes import Votes


@dataclass(frozen=True, slots=True, eq=False)
class WrittenTests:
    """Generated tests of a labelled problem.

    Attributes:
        votes: votes of the tests that were executed.
        places: intp (votes.tests,), position of each among all generated tests.
        tokens: float64 (tests,), tokens of each generated test; NaN if unmeasured.
        correct: bool (candidates,), the labels.
    """

    votes: Votes
    places: NDArray[np.intp]
    tokens: NDArray[np.float64]
    correct: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ProblemStatistics:
    """Statistics of the tests of one problem; means over permutations.

    Attributes:
        single: confusion counts of single tests.
        combined: confusion counts of so many tests together, by number; None where there are fewer.
        at_tests: accuracy of the pick after so many tests, by number; NaN where there are fewer.
        at_tokens: accuracy of the pick after so many tokens, by budget; NaN if tokens are unmeasured.
        fidelity: rank correlation (Spearman) of the candidates' scores with their labels; NaN if either
            is constant.
        top, bottom: share of right candidates among those with the highest, and the lowest, score.
        tests, usable: number of generated tests, and of those that were executed.
        tokens: tokens of all generated tests.
    """

    single: TestQuality
    combined: Sequence[TestQuality | None]
    at_tests: Sequence[float]
    at_tokens: Sequence[float]
    fidelity: float
    top: float
    bottom: float
    tests: int
    usable: int
    tokens: float


def problem_statistics(
    written: WrittenTests,
    rule: SelectionRule,
    together: Sequence[int],
    budgets: Sequence[float],
    *,
    permutations: int,
    rng: np.random.Generator,
) -> ProblemStatistics:
    """Statistics of the tests of one problem.

    An unusable test has no vote, but counts among the tests and tokens that are spent.

    Args:
        written: the tests.
        rule: selection rule of several tests together.
        together: numbers of tests.
        budgets: numbers of tokens.
        permutations: number of random permutations, at least 1.
        rng: draws the permutations.
    """
    generated, correct = len(written.tokens), written.correct
    combined: list[list[TestQuality]] = [[] for _ in together]
    at_tests: list[list[float]] = [[] for _ in together]
    at_tokens: list[list[float]] = [[] for _ in budgets]
    measured = not np.isnan(written.tokens).any()
    for _ in range(permutations):
        order = rng.permutation(generated)
        turn = np.argsort(order)[written.places]  # of each vote
        spent = np.cumsum(written.tokens[order])[turn]
        for position, count in enumerate(together):
            if count <= generated:
                winners = _winners(written.votes, turn < count, rule)
                combined[position].append(combined_test_quality(winners, correct))
                at_tests[position].append(accuracy_of_winners(winners, correct))
        for position, budget in enumerate(budgets):
            if measured:
                winners = _winners(written.votes, spent <= budget, rule)
                at_tokens[position].append(accuracy_of_winners(winners, correct))
    scores = written.votes.scores()
    return ProblemStatistics(
        quality_of_singles(written.votes, correct),
        [_mean_counts(counts) for counts in combined],
        [_mean(values) for values in at_tests],
        [_mean(values) for values in at_tokens],
        rank_correlation(scores.astype(np.float64), correct.astype(np.float64)),
        float(correct[scores == scores.max()].mean()),
        float(correct[scores == scores.min()].mean()),
        generated,
        written.votes.tests,
        float(written.tokens.sum()),
    )


def rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation, ties with their mean rank; NaN if a side is constant."""
    ranks = rankdata(first), rankdata(second)
    if np.ptp(ranks[0]) == 0 or np.ptp(ranks[1]) == 0:
        return math.nan
    return float(np.corrcoef(*ranks)[0, 1])


def _winners(votes: Votes, chosen: NDArray[np.bool_], rule: SelectionRule) -> NDArray[np.intp]:
    drawn = Votes.from_matrix(votes.passed()[chosen], votes.run()[chosen])
    return rule.winners(Evidence(drawn))


def _mean_counts(counts: Sequence[TestQuality]) -> TestQuality | None:
    if not counts:
        return None
    total = sum(counts[1:], counts[0])
    return TestQuality(
        total.false_positives / len(counts),
        total.wrong / len(counts),
        total.false_negatives / len(counts),
        total.correct / len(counts),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan

"""Votes weighted by the reliability of each test, estimated from the votes alone."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, logit

from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import ScoringRule

_ITERATIONS = 50
_TIE = 1e-6  # weight of a test passed, for ties
_PRIOR_CORRECT = 10.0  # for correct candidates and tests; the published 1000 outweighs a few hundred votes
_PRIOR_CHANCE = 1e6  # against wrong candidates that pass wrong tests; the end of the published range


class WeightedRule(ScoringRule):
    """Scoring rule on the votes alone, computed anew for each number of tests."""

    @abstractmethod
    def weigh(self, passed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Scores, float64 (candidates,), from ``passed``, bool (tests, candidates)."""

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        counts = statistics.tests.ravel()
        return np.stack([self.weigh(statistics.passed[:count]) for count in counts])


class Bayesian(WeightedRule):
    """B4: the most probable pair of a set of correct candidates and a set of correct tests.

    Chen et al. 2024 (arXiv 2409.08692). The pairs of sets are those of CodeT: n_c of N candidates that
    passed the same n_t of M tests, and these tests. p is the number of passes of these tests by the other
    candidates, of o = (N - n_c) n_t. p' and o' are the same for the other tests. The log posterior is

    ``ln B(n_c + 10, N - n_c + 1) + ln B(n_t + 10, M - n_t + 1) + ln B(p + 1, o - p + 1)
    + ln B(p' + 1, o' - p' + 10^6)``, up to a constant.
    """

    name: ClassVar[str] = "bayesian"

    def weigh(self, passed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See :meth:`WeightedRule.weigh`."""
        tests, candidates = passed.shape
        sets, groups, sizes = np.unique(passed, axis=1, return_inverse=True, return_counts=True)
        correct_tests = sets.sum(axis=0)
        passes = (
            passed.sum(axis=1) @ sets - sizes * correct_tests
        )  # of correct tests, by the other candidates
        others = candidates - sizes
        chances = passed.sum() - sizes * correct_tests - passes  # of wrong tests by the others
        posterior = (
            betaln(sizes + _PRIOR_CORRECT, others + 1)
            + betaln(correct_tests + _PRIOR_CORRECT, tests - correct_tests + 1)
            + betaln(passes + 1, others * correct_tests - passes + 1)
            + betaln(chances + 1, others * (tests - correct_tests) - chances + _PRIOR_CHANCE)
        )
        return np.asarray(posterior[groups.ravel()])


class DawidSkene(WeightedRule):
    """Posterior log-odds of being correct, with two pass rates per test, fitted to the votes.

    Score ``ln (q / (1 - q)) + sum over tests passed of ln (u_j / v_j) + sum over tests failed of ln ((1 -
    u_j) / (1 - v_j))``. q is the share of correct candidates; u_j and v_j are the shares of correct and of
    wrong candidates that pass test j. They are fitted by 50 steps of expectation maximisation, from the
    share of tests passed (Dawid and Skene 1979, two classes). Ties go to the most tests passed.

    The model takes tests as independent given the labels. Wrong tests are not: they tend to make the same
    mistake, and then agree on wrong candidates.
    """

    name: ClassVar[str] = "dawid-skene"

    def weigh(self, passed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See :meth:`WeightedRule.weigh`."""
        tests, candidates = passed.shape
        patterns, members, sizes = np.unique(passed, axis=1, return_inverse=True, return_counts=True)
        p_correct = (patterns.sum(axis=0) + 1) / (tests + 2)
        odds = logit(p_correct)
        for _ in range(_ITERATIONS):
            correct, wrong = p_correct * sizes, (1 - p_correct) * sizes
            passed_by_correct = (patterns @ correct + 1) / (correct.sum() + 2)
            passed_by_wrong = (patterns @ wrong + 1) / (wrong.sum() + 2)
            share = (correct.sum() + 1) / (candidates + 2)
            for_pass = np.log(passed_by_correct / passed_by_wrong)
            for_fail = np.log((1 - passed_by_correct) / (1 - passed_by_wrong))
            odds = logit(share) + for_pass @ patterns + for_fail @ ~patterns
            p_correct = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        return np.asarray((odds + _TIE * patterns.sum(axis=0))[members.ravel()])


class LeaveOneOut(WeightedRule):
    """Votes weighted by how well each test agrees with the ranking by all other tests.

    Score ``sum over tests passed of w_j / sum of w``, with ``w_j = max(p_j (1 - p_j) (A_j - 1/2), 0)``. p_j
    is the share of candidates that pass test j. A_j is the area under the ROC curve by which the other
    tests' votes separate candidates that pass j from candidates that fail it. If all weights are 0, all
    tests have equal weight. Ties go to the most tests passed.

    This is ACES in closed form (arXiv 2604.03922). There ``A_j = 1/2 + c d_j / (p_j (1 - p_j))``, with one
    c for all tests and d_j the share of correct candidates that pass test j minus that of wrong ones. So
    w_j is proportional to d_j.
    """

    name: ClassVar[str] = "leave-one-out"

    def weigh(self, passed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See :meth:`WeightedRule.weigh`."""
        tests, candidates = passed.shape
        scores = passed.sum(axis=0)
        by_score = np.zeros((candidates, tests + 2))
        by_score[np.arange(candidates), scores + 1] = 1
        failing = ~passed @ by_score  # candidates that fail each test, by score
        passing = np.roll(passed @ by_score, -1, axis=1)  # candidates that pass it, by score on the others
        below = np.cumsum(failing, axis=1) - failing / 2
        won = (passing * below).sum(axis=1) / candidates**2  # p (1 - p) times the area
        chance = passed.mean(axis=1) * (1 - passed.mean(axis=1)) / 2
        weights = np.maximum(won - chance, 0)
        total = weights.sum()
        weighted = weights @ passed / total if total > 1e-9 else np.zeros(candidates)
        return np.asarray(weighted + _TIE * scores)

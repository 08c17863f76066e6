"""Votes weighted by how reliable each test seems, judged by the other tests alone."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, logit

from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import ScoringRule

_ITERATIONS = 50
_TIE = 1e-6  # what a test passed is worth where the weights leave a tie
_PRIOR_RIGHT = 10.0  # right candidates and tests are many; the published 1000 drowns a few hundred votes
_PRIOR_CHANCE = 1e6  # wrong candidates hardly ever pass wrong tests; the end of the published range


class WeightedRule(ScoringRule):
    """Scores candidates by which of the tests they passed, and by nothing else."""

    @abstractmethod
    def weigh(self, passed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Scores of the candidates, shape (candidates,), from ``passed`` of shape (tests, candidates)."""

    def scores(self, growth: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        counts = growth.tests.ravel()
        return np.stack([self.weigh(growth.verdicts[:count]) for count in counts])


class Bayesian(WeightedRule):
    """B4: the most probable set of right candidates and right tests, if these agree with each other.

    Chen et al. (arXiv 2409.08692). The sets considered are those of CodeT: candidates that passed the same
    tests, with these tests. Their posterior is a product of four Beta functions: of how many candidates are
    right, how many tests are, how often the others pass right tests, and how often they pass wrong ones.
    """

    name: ClassVar[str] = "bayesian"

    def weigh(self, passed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See :meth:`WeightedRule.weigh`."""
        tests, candidates = passed.shape
        sets, groups, sizes = np.unique(passed, axis=1, return_inverse=True, return_counts=True)
        right = sets.sum(axis=0)
        passes = passed.sum(axis=1) @ sets - sizes * right  # of right tests, by the others
        others = candidates - sizes
        chances = passed.sum() - sizes * right - passes  # that the others pass wrong tests
        posterior = (
            betaln(sizes + _PRIOR_RIGHT, others + 1)
            + betaln(right + _PRIOR_RIGHT, tests - right + 1)
            + betaln(passes + 1, others * right - passes + 1)
            + betaln(chances + 1, others * (tests - right) - chances + _PRIOR_CHANCE)
        )
        return np.asarray(posterior[groups.ravel()])


class DawidSkene(WeightedRule):
    """Posterior odds of being right when each test has two rates of its own, fitted to the votes.

    The model of Dawid and Skene (1979) for two classes, by expectation maximisation from the share of tests
    passed. Tests are taken for independent given what is right, which wrong tests are not: they tend to be
    wrong alike, and then agree on the wrong candidates. Where the votes do not say more of one test than of
    another, as one test alone never does, ties go to those who passed most.
    """

    name: ClassVar[str] = "dawid-skene"

    def weigh(self, passed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See :meth:`WeightedRule.weigh`."""
        tests, candidates = passed.shape
        kinds, members, sizes = np.unique(passed, axis=1, return_inverse=True, return_counts=True)
        belief = (kinds.sum(axis=0) + 1) / (tests + 2)
        odds = logit(belief)
        for _ in range(_ITERATIONS):
            right, wrong = belief * sizes, (1 - belief) * sizes
            passes_right = (kinds @ right + 1) / (right.sum() + 2)
            passes_wrong = (kinds @ wrong + 1) / (wrong.sum() + 2)
            share = (right.sum() + 1) / (candidates + 2)
            for_pass = np.log(passes_right / passes_wrong)
            for_fail = np.log((1 - passes_right) / (1 - passes_wrong))
            odds = logit(share) + for_pass @ kinds + for_fail @ ~kinds
            belief = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        return np.asarray((odds + _TIE * kinds.sum(axis=0))[members.ravel()])


class LeaveOneOut(WeightedRule):
    """Votes weighted by how well each test agrees with the ranking that all others make.

    ACES in closed form (arXiv 2604.03922). The area under the curve by which the others' votes tell those
    who pass a test from those who fail it is 1/2 + c d / (p (1 - p)), with p the share who pass, d how much
    likelier right candidates pass than wrong ones, and one c for all tests. So ``p (1 - p) (area - 1/2)``,
    and 0 if that is less, weighs a test by d. Where no test has weight all count alike; ties go to those
    who passed most.
    """

    name: ClassVar[str] = "leave-one-out"

    def weigh(self, passed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See :meth:`WeightedRule.weigh`."""
        tests, candidates = passed.shape
        scores = passed.sum(axis=0)
        by_score = np.zeros((candidates, tests + 2))
        by_score[np.arange(candidates), scores + 1] = 1
        failing = ~passed @ by_score  # those who fail each test, by score, which is also that on the others
        passing = np.roll(passed @ by_score, -1, axis=1)  # those who pass it, by score on the others
        below = np.cumsum(failing, axis=1) - failing / 2
        won = (passing * below).sum(axis=1) / candidates**2  # p (1 - p) times the area
        chance = passed.mean(axis=1) * (1 - passed.mean(axis=1)) / 2
        weights = np.maximum(won - chance, 0)
        total = weights.sum()
        weighted = weights @ passed / total if total > 1e-9 else np.zeros(candidates)
        return np.asarray(weighted + _TIE * scores)

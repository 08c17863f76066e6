"""Likelihood of passing tests, right candidates against wrong ones, calibrated on a batch without labels.

Candidates that many others agree with are right more often than not. So a batch shows how often right and
wrong output groups pass its tests, and a likelihood ratio then weighs the tests that a candidate passes.
Symbols: s tests passed, m tests run, n size of the output group, K soft group size, a agreement; see
``rewards.prefix_statistics``.

Two models are averaged. ``ALL`` counts all m tests. ``SEEN`` counts the tests that any candidate passes. In
both, the number of tests passed is beta-binomial with mean mu and total ``M = alpha + beta``: mu1, M1 for
right groups, mu0, M0 for wrong ones. A small M keeps tests that err together from counting as independent.

The constants of calibration were chosen on three families: CodeGen-16B's samples of HumanEval (single
assertions, and mixtures of which 3, 5 and 7 in 10 are right; 100 and 16 candidates; with and without
outputs), programs and assertions of stronger models on HumanEval and on MBPP, and the recordings in
``examples``. ``docs/selection.md`` shows how the rule does on families that were left out.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PRIOR_AGREEMENT, _PRIOR_PROBLEMS = 0.5, 2.0  # of the pool, before the batch
_WEAK, _STRONG = 0.58, 0.70  # agreements of the pool at which its strength is 0, and 1


class Counted(IntEnum):
    """Tests that a model counts: all, or those that any candidate passes."""

    ALL = 0
    SEEN = 1


@dataclass(frozen=True, slots=True)
class PassModel:
    """Beta-binomial models of the tests that right and wrong groups pass.

    Attributes:
        right_mean, wrong_mean: expected shares of the tests passed, mu1 and mu0.
        right_total, wrong_total: M1 and M0.
    """

    right_mean: float
    wrong_mean: float
    right_total: float
    wrong_total: float

    def log_ratio(self, tests: int) -> Floats:
        """Tables P, F, N, float64 (3, tests + 1), of the log likelihood ratio of right against wrong.

        It is ``P[s] + F[m - s] - N[m]`` for s passes in m <= tests tests.
        """
        return _log_ratio(self, tests)


PRIOR_MODELS = (PassModel(0.45, 0.15, 5.0, 3.0), PassModel(0.85, 0.20, 3.0, 2.0))
"""Models before any test was seen, by ``Counted``; the totals are fixed."""

PRIOR_FREE_MODELS = (PassModel(0.45, 0.15, 4.0, 2.0), PassModel(0.85, 0.20, 4.0, 2.0))
"""Models before any test was seen, by ``Counted``; the totals are fitted too."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Calibration of a batch whose problems have a number of tests each.

    Attributes:
        strength: from 0 for a weak pool of candidates to 1 for a strong one, by its agreement.
        weak: models with fixed totals, by ``Counted``; those of the prior if the strength is 1.
        strong: models with free totals, by ``Counted``; those of the prior if the strength is 0.
    """

    strength: float
    weak: tuple[PassModel, PassModel]
    strong: tuple[PassModel, PassModel]


@dataclass(frozen=True, slots=True, eq=False)
class GroupRows:
    """Output groups of one problem after some tests, with a row for each column of candidates.

    Attributes:
        passed: intp (rows,), tests passed, s.
        run: intp (rows,), tests run on the candidates.
        seen: intp (rows,), those of them that any candidate passes.
        weights: float64 (rows,), share of the row in its output group.
        log_sizes: float64 (rows,), ln n.
        support: float64 (rows,), ln K + ln a.
        barred: bool (rows,), candidates that pass nothing although others pass a test, if only votes are
            known. They cannot be right: with votes alone, equal failures make the largest group.
        agreement: agreement of the candidates, mean over them; NaN if unknown.
        votes: mean over tests of p and of p squared, with p the share of candidates that pass a test, if
            only votes are known; else None.
    """

    passed: NDArray[np.intp]
    run: NDArray[np.intp]
    seen: NDArray[np.intp]
    weights: Floats
    log_sizes: Floats
    support: Floats
    barred: NDArray[np.bool_]
    agreement: float
    votes: tuple[float, float] | None

    def counted(self, counted: Counted) -> NDArray[np.intp]:
        """Number of tests that a model counts, intp (rows,)."""
        return self.seen if counted is Counted.SEEN else self.run


def agreement_of_votes(mean: Floats, mean_square: Floats) -> Floats:
    """Agreement of a pool of which only votes are known, on the scale of agreement of outputs.

    ``1.2 E[p^2] / E[p] - 0.31``, with p the share of candidates that pass a test; a line through the
    families with outputs, whose outputs were forgotten.
    """
    return np.asarray(1.2 * mean_square / mean - 0.31)


def strength_of(agreement: Floats) -> Floats:
    """Strength of pools by their agreement, in [0, 1]."""
    return np.clip((agreement - _WEAK) / (_STRONG - _WEAK), 0, 1)


def shrunk_agreement(total: Floats, problems: Floats) -> Floats:
    """Mean of the agreements of some problems, by their sum, and of two further ones with 0.5."""
    return (total + _PRIOR_AGREEMENT * _PRIOR_PROBLEMS) / (problems + _PRIOR_PROBLEMS)


@lru_cache(maxsize=4096)
def _log_ratio(model: PassModel, tests: int) -> Floats:
    return _rising(model.right_mean, model.right_total, tests) - _rising(
        model.wrong_mean, model.wrong_total, tests
    )


def _rising(mean: float, total: float, tests: int) -> Floats:
    """Sums over ``i < k`` of ``ln (x + i)`` for x = alpha, beta, total and k = 0 ... tests."""
    start = np.array([[mean * total], [(1 - mean) * total], [total]])
    sums = np.zeros((3, tests + 1))
    np.cumsum(np.log(start + np.arange(tests)), axis=1, out=sums[:, 1:])
    return sums

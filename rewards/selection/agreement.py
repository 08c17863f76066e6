"""Rules that weigh tests passed against candidates that behave alike, by how far the tests can be trusted.

Right candidates behave alike, wrong ones tend not to. Where no candidate passes many of the tests, the
tests are wrong, and agreement says more than they do. The formulas are sums of logarithms: tests passed,
and what candidates of like behaviour are worth. A candidate that passed nothing is behind every other,
however many are like it.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.prefix_statistics import PrefixStatistics, floored_log
from testbudget.rewards.selection.base import ScoringRule


class OutputGroups(ScoringRule):
    """Largest group of candidates with equal outputs, whatever the tests say of them.

    A group that never returned a value is behind every other.
    """

    name: ClassVar[str] = "outputs"
    uses_outputs: ClassVar[bool] = True

    def scores(self, growth: PrefixStatistics) -> NDArray[np.int64]:
        """See :meth:`ScoringRule.scores`."""
        return np.where(growth.returned, growth.output_group_sizes, 0)


class OutputAgreement(ScoringRule):
    """``ln s + (1 - r) / 2 ln n``: tests passed, and the size of the group with equal outputs.

    r is the share of the tests that the best candidate passes (:attr:`PrefixStatistics.best_pass_rate`). With good tests
    this is nearly the majority vote, with bad ones CodeT's score.
    """

    name: ClassVar[str] = "agreement"
    uses_outputs: ClassVar[bool] = True

    def scores(self, growth: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        weight = (1 - growth.best_pass_rate) / 2
        return np.asarray(floored_log(growth.passed) + weight * np.log(growth.output_group_sizes))


class SoftAgreement(ScoringRule):
    """``ln s + 2 (1 - r) (ln K + ln a)``: tests passed, candidates of like behaviour, mean agreement.

    Beside the group with equal outputs K counts candidates that nearly are in it, and the agreement a is
    with all candidates, input by input (:attr:`PrefixStatistics.soft_group_sizes`, :attr:`PrefixStatistics.agreement`).
    """

    name: ClassVar[str] = "soft_agreement"
    uses_outputs: ClassVar[bool] = True

    def scores(self, growth: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        weight = 2 * (1 - growth.best_pass_rate)
        return np.asarray(floored_log(growth.passed) + weight * growth.support)


class BatchAgreement(ScoringRule):
    """``ln s + 8 (1 - R)^4 (ln n + ln a)``: like kin, with one trust in the tests for a whole batch.

    R is the share of the tests that the best candidate of a problem passes, as a mean over the batch
    (:attr:`PrefixStatistics.batch_best_pass_rate`). Where the batch is not known, it is the problem's own, drawn towards a
    half.
    """

    name: ClassVar[str] = "batch"
    uses_outputs: ClassVar[bool] = True
    uses_batch: ClassVar[bool] = True

    def scores(self, growth: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        weight = 8 * (1 - growth.batch_best_pass_rate) ** 4
        support = np.log(growth.output_group_sizes) + floored_log(growth.agreement)
        return np.asarray(floored_log(growth.passed) + weight * support)

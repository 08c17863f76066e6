"""Selection rules that combine the tests passed with the agreement of candidates' outputs.

Correct candidates return equal outputs, wrong candidates mostly do not. If no candidate passes many of the
tests, the tests are wrong, and agreement is the better evidence.

Symbols: s tests passed, n size of the output group, K soft group size, a agreement, r best pass rate of the
problem, R best pass rate of the batch; see ``PrefixStatistics``. ``ln 0`` is replaced by -50, so a
candidate with ``s = 0`` loses to every other. A rule without a cited source was made for this project;
``benchmarks/selection.py`` measures it.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.prefix_statistics import PrefixStatistics, floored_log
from testbudget.rewards.selection.base import ScoringRule


class LargestOutputGroup(ScoringRule):
    """Score ``n``: the largest output group wins, without regard to the tests.

    A group that never returned a value has score 0. This is majority voting over outputs, as
    self-consistency (Wang et al. 2022, arXiv 2203.11171) does over answers.
    """

    name: ClassVar[str] = "outputs"
    uses_outputs: ClassVar[bool] = True
    merges_equal: ClassVar[bool] = True

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.int64]:
        """See :meth:`ScoringRule.scores`."""
        return np.where(statistics.returned, statistics.output_group_sizes, 0)


class OutputAgreement(ScoringRule):
    """Score ``ln s + (1 - r) / 2 ln n``.

    With good tests (r near 1) it is nearly the majority vote. With bad tests (r near 0) it is nearly the
    score of CodeT (arXiv 2207.10397) on output groups.
    """

    name: ClassVar[str] = "agreement"
    uses_outputs: ClassVar[bool] = True
    merges_equal: ClassVar[bool] = True

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        weight = (1 - statistics.best_pass_rate) / 2
        return np.asarray(
            floored_log(statistics.tests_passed) + weight * np.log(statistics.output_group_sizes)
        )


class SoftAgreement(ScoringRule):
    """Score ``ln s + 2 (1 - r) (ln K + ln a)``.

    K also counts candidates with nearly equal outputs. a is the agreement with all candidates, input by
    input.
    """

    name: ClassVar[str] = "soft_agreement"
    uses_outputs: ClassVar[bool] = True
    merges_equal: ClassVar[bool] = True

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        weight = 2 * (1 - statistics.best_pass_rate)
        return np.asarray(floored_log(statistics.tests_passed) + weight * statistics.support)


class BatchAgreement(ScoringRule):
    """Score ``ln s + 8 (1 - R)^4 (ln n + ln a)``, with one weight of agreement for a whole batch.

    Without a batch, R is r.
    """

    name: ClassVar[str] = "batch"
    uses_outputs: ClassVar[bool] = True
    merges_equal: ClassVar[bool] = True
    uses_batch: ClassVar[bool] = True

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        weight = 8 * (1 - statistics.batch_best_pass_rate) ** 4
        support = np.log(statistics.output_group_sizes) + floored_log(statistics.agreement)
        return np.asarray(floored_log(statistics.tests_passed) + weight * support)

"""The rule that notices how far the tests of a batch can be trusted."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.prefix_statistics import PrefixStatistics, floored_log
from testbudget.rewards.selection.base import ScoringRule
from testbudget.rewards.selection.batch import AGREEMENT_WEIGHTS

_TELLING, _INDIFFERENT = 0.6, 0.7  # from here to there, tests say ever less beside what candidates agree on
_AGREEMENT = 2.0  # weight where tests are indifferent
_FEW = 3.0  # tests that a candidate may pass by chance there
_CONTRADICTORY, _CONSISTENT = 0.55, 0.65  # between these, some tests contradict the others


class Auto(ScoringRule):
    """``ln s + w (ln K + ln a)``: tests passed against candidates of like behaviour and mean agreement.

    K and a are :attr:`PrefixStatistics.soft_group_sizes` and :attr:`PrefixStatistics.agreement`. The weight is ``w = 2.5 (1 - R)^2``, with R
    the share of the tests that the best candidate passes, as a mean over the batch: near 0 where tests are
    good, above 1 where they are bad; but at most :attr:`BatchStatistics.trusted_weight`, since tests that foretell
    each other well are right though nobody passes them all. Where the batch's tests pass candidates almost
    regardless of what these do (:attr:`BatchStatistics.minority_ratio`), it is ``ln (s + 3) + 2 (ln K + ln a)``, and
    the tests hardly matter.

    Without outputs ``ln s + w ln n``, n being the candidates that passed the same tests, with
    ``w = 0.6 (1 - R)^2``, and 1 where the batch's tests contradict each other
    (:attr:`BatchStatistics.consistency`). Without a batch R is the problem's own, drawn towards a half.

    The form and its constants were chosen on the recorded run in ``examples/humaneval`` and on what was
    made from it: parts of its tests, as in ``benchmarks/selection.py``, and made-up assertions of which
    one in five to nine in ten expect the right output.
    """

    name: ClassVar[str] = "auto"
    uses_outputs: ClassVar[bool] = True
    uses_batch: ClassVar[bool] = True

    def scores(self, growth: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        p_wrong = (1 - growth.batch_best_pass_rate) ** 2
        if not growth.has_outputs:
            trust = _between(_CONTRADICTORY, growth.batch_consistency, _CONSISTENT)
            weight = np.maximum(0.6 * p_wrong, AGREEMENT_WEIGHTS[0]) ** trust
            return np.asarray(floored_log(growth.passed) + weight * np.log(growth.pass_set_sizes))
        trust = 1 - _between(_TELLING, growth.batch_minority_ratio, _INDIFFERENT)
        weight = np.clip(2.5 * p_wrong, AGREEMENT_WEIGHTS[0], growth.trusted_weight)
        weight = weight**trust * _AGREEMENT ** (1 - trust)
        return np.asarray(floored_log(growth.passed + _FEW * (1 - trust)) + weight * growth.support)


def _between(low: float, value: NDArray[np.float64], high: float) -> NDArray[np.float64]:
    """0 up to the lower bound, 1 from the higher on."""
    return np.clip((value - low) / (high - low), 0, 1)

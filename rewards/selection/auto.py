"""Default selection rule: the weight of agreement depends on the quality of a batch's tests."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.prefix_statistics import PrefixStatistics, floored_log
from testbudget.rewards.selection.base import ScoringRule
from testbudget.rewards.selection.batch import AGREEMENT_WEIGHTS

_DISCRIMINATING, _INDIFFERENT = 0.6, 0.7  # minority ratios at which t is 1, and 0
_INDIFFERENT_WEIGHT = 2.0  # of agreement where the tests do not discriminate
_CHANCE_PASSES = 3.0  # added to s there: tests that a candidate may pass by chance
_CONTRADICTORY, _CONSISTENT = 0.55, 0.65  # consistencies at which t is 0, and 1, without outputs


class Auto(ScoringRule):
    """Score ``ln (s + 3 (1 - t)) + v (ln K + ln a)``, with ``v = w^t 2^(1 - t)``.

    Symbols as in ``selection/agreement.py``.

    * ``w = 2.5 (1 - R)^2``, clipped to [0.02, ``BatchStatistics.trusted_weight``]: near 0 where tests are
      good, above 1 where they are bad. The upper limit is for tests that predict each other well: they are
      good even if no candidate passes them all.
    * ``t`` falls from 1 to 0 as the minority ratio of the batch rises from 0.6 to 0.7. At t = 0 the tests
      pass candidates regardless of their outputs and hardly count.

    Without outputs the score is ``ln s + w^t ln g``, with g the number of candidates that passed the same
    tests and ``w = max(0.6 (1 - R)^2, 0.02)``. Then t rises from 0 to 1 as the consistency of the batch
    rises from 0.55 to 0.65. Without a batch, R is r.

    The form and the constants were chosen on the recorded run in ``examples/humaneval`` and on data made
    from it: subsets of its tests, as in ``benchmarks/selection.py``, and generated assertions, 20 % to 90 %
    of them with the correct expected output.
    """

    name: ClassVar[str] = "auto"
    uses_outputs: ClassVar[bool] = True
    merges_equal: ClassVar[bool] = True
    uses_batch: ClassVar[bool] = True

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        squared = (1 - statistics.batch_best_pass_rate) ** 2
        passed = statistics.tests_passed
        if not statistics.has_outputs:
            trust = _ramp(_CONTRADICTORY, statistics.batch_consistency, _CONSISTENT)
            weight = np.maximum(0.6 * squared, AGREEMENT_WEIGHTS[0]) ** trust
            return np.asarray(floored_log(passed) + weight * np.log(statistics.pass_set_sizes))
        trust = 1 - _ramp(_DISCRIMINATING, statistics.batch_minority_ratio, _INDIFFERENT)
        weight = np.clip(2.5 * squared, AGREEMENT_WEIGHTS[0], statistics.trusted_weight)
        weight = weight**trust * _INDIFFERENT_WEIGHT ** (1 - trust)
        return np.asarray(floored_log(passed + _CHANCE_PASSES * (1 - trust)) + weight * statistics.support)


def _ramp(low: float, value: NDArray[np.float64], high: float) -> NDArray[np.float64]:
    """Linear ramp: 0 up to ``low``, 1 from ``high``."""
    return np.clip((value - low) / (high - low), 0, 1)

"""The rule that notices how far the tests of a batch can be trusted."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rewards.selection.base import ScoringRule
from rewards.selection.growth import Growth, logarithm

_INDIFFERENT = 0.55  # beyond this, tests tell no more than what candidates agree on
_FEW = 3.0  # tests that a candidate may pass by chance where tests are indifferent


class Auto(ScoringRule):
    """``ln s + w (ln K + ln a)``: tests passed against candidates of like behaviour and mean agreement.

    K and a are :attr:`Growth.kin` and :attr:`Growth.agreement`. The weight is ``w = 2.5 (1 - R)^2``, with R
    the share of the tests that the best candidate passes, as a mean over the batch: near 0 where tests are
    good, above 1 where they are bad. Where the batch's tests pass candidates almost regardless of what
    these do (:attr:`Batch.indifference`), it is ``ln (s + 3) + 2.5 (ln K + ln a)``, and the tests hardly
    matter.

    Without outputs ``ln s + 0.7 (1 - R)^2 ln n``, n being the candidates that passed the same tests.
    Without a batch R is the problem's own, drawn towards a half.

    The form and its constants were chosen on the recorded run in ``examples/humaneval`` and on what was
    made from it, by ``benchmarks/selection.py``.
    """

    name: ClassVar[str] = "auto"
    uses_outputs: ClassVar[bool] = True
    uses_batch: ClassVar[bool] = True

    def scores(self, growth: Growth) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        doubt = (1 - growth.batch_passable) ** 2
        passed = logarithm(growth.passed)
        if not growth.has_outputs:
            return np.asarray(passed + 0.7 * doubt * np.log(growth.pass_set_sizes))
        support = np.log(growth.kin) + logarithm(growth.agreement)
        trusting = passed + 2.5 * doubt * support
        doubting = np.log(growth.passed + _FEW) + 2.5 * support
        return np.where(growth.batch_indifference > _INDIFFERENT, doubting, trusting)

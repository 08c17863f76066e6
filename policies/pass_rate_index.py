"""Base of policies whose values depend on the predicted pass rate and the number of tests."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from testbudget.policies.base import Floats, Ints, Policy


class PassRateIndexPolicy(Policy):
    """Values by the predicted pass rate p and the number of tests m. Static.

    The value is 0 where p is not predicted.

    Args:
        pass_rates: float64 (problems,), predicted p in [0, 1]; NaN where not predicted.
    """

    static: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"pass_rates"})

    def __init__(self, pass_rates: Floats) -> None:
        self._pass_rates = pass_rates

    def values(self, problems: Ints, granted: Ints) -> Floats:
        """See :meth:`Policy.values`."""
        return np.nan_to_num(self._value(self._pass_rates[problems], granted))

    def terms(self, problems: Ints, granted: Ints) -> dict[str, Floats]:  # noqa: ARG002 - p is constant
        """See :meth:`Policy.terms`: the predicted pass rate."""
        return {"pass_rate": self._pass_rates[problems]}

    @staticmethod
    @abstractmethod
    def _value(pass_rates: Floats, granted: Ints) -> Floats:
        """Value of the next test, float64 (n,), at these pass rates and numbers of tests; NaN for NaN."""

"""Interface of allocation policies: the value of each problem's next test."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.gain_model import GainModelAssignment
from testbudget.policies.written_inputs import place_of_inputs
from testbudget.rewards.errors import UserError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNBOUNDED = 2**62
"""Increment of a policy that sets no limit."""

NEEDS: Mapping[str, str] = {
    "pass_rates": "predicted pass rates",
    "gain_models": "a gain model from a finished run",
    "curves": "each problem's own accuracy curve, which takes the ground truth,",
}
"""Inputs that a policy may need, fields of :class:`PolicyContext`, in words of error messages."""


@dataclass(frozen=True, slots=True, eq=False)
class PolicyContext:
    """Inputs of policies. A policy is made from those that it needs.

    Attributes:
        problems: number of problems, at least 1. A problem is named by its position.
        seed: seed of a policy that draws at random.
        max_tests: int64 (problems,), tests that each problem may get at most; None if unknown.
        pass_rates: float64 (problems,), predicted share of the policy model's candidates that are correct,
            in [0, 1]; NaN where not predicted. None if pass rates are not predicted.
        gain_models: the gain model of each problem, fitted without that problem.
        curves: float64 (problems, tests + 1), true accuracy of the pick after m tests; NaN where m exceeds
            a problem's recorded tests.

    Raises:
        ValueError: no problem, an array of another shape, or a pass rate outside [0, 1].
    """

    problems: int
    seed: int = 0
    max_tests: Ints | None = None
    pass_rates: Floats | None = None
    gain_models: GainModelAssignment | None = None
    curves: Floats | None = None

    def __post_init__(self) -> None:
        if self.problems < 1:
            raise ValueError(f"a policy needs at least 1 problem but got {self.problems}")
        gain_model_of = None if self.gain_models is None else self.gain_models.gain_model_of
        for name, array, dimensions in (
            ("max_tests", self.max_tests, 1),
            ("pass_rates", self.pass_rates, 1),
            ("gain_models", gain_model_of, 1),
            ("curves", self.curves, 2),
        ):
            if array is not None and (array.ndim != dimensions or len(array) != self.problems):
                raise ValueError(
                    f"{name} must have one entry for each of {self.problems} problems but is {array.shape}"
                )
        if self.pass_rates is not None and ((self.pass_rates < 0) | (self.pass_rates > 1)).any():
            raise ValueError("predicted pass rates must be between 0 and 1")


class Policy(ABC):
    """Index of the value of each problem's next test.

    The scheduler grants the tests with the largest values that fit under the cap and calls :meth:`observe`
    with p_wrong and p_change of the pick after each grant. It keeps all that is granted, bounds and closed
    problems, and draws the order of problems with equal values. A problem's value depends on what is known
    of the problem, not on its position.

    Results depend on the context and on the observations alone. A resumed run repeats both.
    """

    name: ClassVar[str]
    """Name in job files and reports."""

    static: ClassVar[bool]
    """True if values do not depend on observations, so that budgets are known beforehand."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """Inputs that the policy needs: names in ``NEEDS``."""

    @classmethod
    def from_context(cls, context: PolicyContext) -> Self:
        """Make the policy.

        By default, the constructor gets the inputs in ``needs`` as keyword arguments. A policy that uses
        the seed or the bounds overrides this method.

        Raises:
            UserError: an input that the policy needs is missing.
        """
        make: Any = cls
        policy: Self = make(**cls._inputs(context))
        return policy

    @classmethod
    def _inputs(cls, context: PolicyContext) -> dict[str, Any]:
        """The inputs in ``needs`` by name.

        Raises:
            UserError: an input is missing.
        """
        inputs = {need: getattr(context, need) for need in NEEDS if need in cls.needs}
        for need, value in inputs.items():
            if value is None:
                raise UserError(f"the policy '{cls.name}' needs {NEEDS[need]} but got none")
        return inputs

    @abstractmethod
    def values(self, problems: Ints, granted: Ints) -> Floats:
        """Value of each problem's next test.

        The scheduler calls it for problems that may get tests, also for numbers of tests that a problem
        does not have yet.

        Args:
            problems: int64 (n,), positions, in any order; a position may occur more than once.
            granted: int64 (n,), tests that the problem has been granted before.

        Returns:
            float64 (n,), finite, at least 0, and non-increasing in ``granted``. A test of value 0 is not
            granted.
        """

    def increments(self, granted: Ints) -> Ints:
        """Largest number of tests that a problem gets in one grant, after which its pick is observed.

        By default 1; without limit if the policy is static.

        Args:
            granted: int64 (n,), tests that the problem has been granted before.

        Returns:
            int64 (n,), at least 1.
        """
        return np.full(len(granted), UNBOUNDED if self.static else 1, np.int64)

    def inputs_after(self, price: float) -> int | None:
        """Number of tests of a problem after which a model writes inputs for it; None for never.

        By default, the smallest number at which they are worth their price
        (:func:`~testbudget.policies.written_inputs.place_of_inputs`).

        Args:
            price: price of the inputs of a problem, in tests.
        """
        return place_of_inputs(price)

    def observe(  # noqa: B027 - optional
        self, problems: Ints, granted: Ints, p_wrong: Floats, p_change: Floats
    ) -> None:
        """Take in p_wrong and p_change of picks. By default, do nothing.

        The effect does not depend on the order of the problems, nor on their division into calls.

        Args:
            problems: int64 (n,), distinct positions.
            granted: int64 (n,), tests of the problem that the pick is based on.
            p_wrong: float64 (n,), probability that the pick is wrong, estimated without ground truth.
            p_change: float64 (n,), probability that more tests change the output group of the pick
                (:mod:`testbudget.rewards.confidence.change`).
        """

    def terms(self, problems: Ints, granted: Ints) -> dict[str, Floats]:  # noqa: ARG002 - by default none
        """Quantities that the values are computed from, for reports. By default, none.

        Args:
            problems: int64 (n,), positions.
            granted: int64 (n,), tests that the problem has been granted before.

        Returns:
            float64 (n,) by name, the same names in every call; NaN where unknown.
        """
        return {}

"""What a policy is: ask it who gets the next tests, tell it how sure the picks are by then."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Required, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testbudget.policies.water_filling import allocate_greedily
from testbudget.rewards.errors import UserError


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to make tests for one problem.

    Attributes:
        problem: position in the job's list of problems.
        tests: how many, at least 1.
        expected_gain: what the policy believes all of them together to be worth, in expected
            covered problems; 0.0 from a policy without beliefs.
        price: what all of them together are expected to cost.
    """

    problem: int
    tests: int
    expected_gain: float
    price: float


class PolicyLimits(TypedDict, total=False):
    """The keyword arguments that every policy takes; see :class:`Policy`."""

    min_tests: int
    max_tests: Required[int | NDArray[np.integer]]
    prices: NDArray[np.float64] | None
    seed: int


class Policy(ABC):
    """Decides which problems get the next tests.

    The loop asks for grants as the cap leaves room, has the tests made and run, and tells the policy
    how doubtful the picks are then. The minimum of every problem is granted before anything else, as
    evenly as room allows. A subclass supplies :meth:`_plan`, and :meth:`_expected_gains` if it has
    beliefs; bounds and books are kept here.

    Args:
        problems: number of problems; a problem is named by its position, 0 <= position < problems.
        min_tests: tests that every problem gets first, or all that its maximum allows.
        max_tests: tests that a problem may get at most, one number or shape (problems,): no more
            than its generator can serve.
        prices: shape (problems,), expected price of one test; None says 1 each.
        seed: fixes whatever the policy draws.

    Raises:
        UserError: for a negative minimum or maximum, or one minimum above the maximum of all.
        ValueError: for arrays of another shape, or a price that is not positive.
    """

    name: ClassVar[str]
    """What job files call the policy."""

    static: ClassVar[bool]
    """Whether grants never depend on what tests show, so that budgets can be known before any is run."""

    uses_pass_rates: ClassVar[bool] = False
    """Whether grants depend on predicted pass rates, so that a predictor can make a difference."""

    uses_gain_models: ClassVar[bool] = False
    """Whether it needs to be told what finished runs taught."""

    uses_curves: ClassVar[bool] = False
    """Whether it needs to know each problem's own curve, which takes the ground truth."""

    def __init__(
        self,
        problems: int,
        *,
        max_tests: int | NDArray[np.integer],
        min_tests: int = 0,
        prices: NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> None:
        if problems < 1:
            raise ValueError(f"a policy needs at least 1 problem but got {problems}")
        if min_tests < 0 or np.min(max_tests) < 0:
            raise UserError(
                f"min_tests and max_tests must not be negative but got {min_tests} and {np.min(max_tests)}"
            )
        if np.ndim(max_tests) == 0 and min_tests > max_tests:
            raise UserError(f"min_tests must not exceed max_tests ({max_tests}) but got {min_tests}")
        self._problems = problems
        self._min_tests = min_tests
        self._prices = np.broadcast_to(1.0, problems) if prices is None else self._array("prices", prices)
        if not (np.isfinite(self._prices).all() and (self._prices > 0).all()):
            raise ValueError("the price of a test must be positive and finite for every problem")
        ceilings = (
            self._array("max_tests", max_tests) if np.ndim(max_tests) else np.full(problems, max_tests)
        )
        # A closed problem is one whose ceiling is zero.
        self._ceilings = np.minimum(ceilings, np.iinfo(np.int32).max).astype(np.int32)
        self._granted = np.zeros(problems, np.int32)
        self._order = np.random.default_rng(seed).permutation(problems)

    @property
    def granted(self) -> NDArray[np.int32]:
        """Tests granted so far, shape (problems,)."""
        return self._granted.copy()

    def ask(self, room: int) -> list[Grant]:
        """Grant at most ``room`` tests in total; they are booked at once.

        Returns:
            At most one grant a problem, by ascending position; none when nothing may be granted or
            nothing is worth its price.

        Raises:
            ValueError: for negative room.
        """
        if room < 0:
            raise ValueError(f"room for tests must not be negative but is {room}")
        before = self._granted.copy()
        if room and self._min_tests:
            owed = np.minimum(self._ceilings, self._min_tests) - self._granted
            room -= self._book(*self._spread(np.maximum(owed, 0), room), room)
        if room:
            free = np.maximum(self._ceilings - self._granted, 0)
            self._book(*self._plan(free, room), room)
        problems = np.flatnonzero(self._granted != before)
        tests = self._granted[problems] - before[problems]
        gains = self._expected_gains(problems, before[problems], tests)
        prices = tests * self._prices[problems]
        return list(map(Grant, problems.tolist(), tests.tolist(), gains.tolist(), prices.tolist()))

    def tell(self, problem: int, p_wrong: float) -> None:  # noqa: ARG002 - a static policy ignores it
        """Take note of what a problem's tests so far have shown.

        Args:
            problem: its position.
            doubt: chance that the candidate that would be picked now is wrong, as far as can be told
                without ground truth.

        Raises:
            IndexError: when there is no such problem.
        """
        self._check(problem)

    def revoke(self, problem: int, tests: int) -> None:
        """Un-book the last ``tests`` tests granted to a problem: the caller could not afford them.

        Raises:
            IndexError: when there is no such problem.
            ValueError: when it was granted fewer.
        """
        self._check(problem)
        if not 0 <= tests <= self._granted[problem]:
            raise ValueError(f"cannot revoke {tests} tests of {self._granted[problem]} granted")
        self._granted[problem] -= tests

    def close(self, problem: int) -> None:
        """Never grant to this problem again.

        Raises:
            IndexError: when there is no such problem.
        """
        self._check(problem)
        self._ceilings[problem] = 0

    def restore(self, granted: NDArray[np.integer]) -> None:
        """Go on where a run stood: what problems were granted, shape (problems,).

        Doubts are told and problems closed again by the caller.

        Raises:
            ValueError: for another shape or a negative number.
        """
        budgets = self._array("granted", granted)
        if (budgets < 0).any():
            raise ValueError("granted tests must not be negative")
        self._granted[:] = budgets

    @abstractmethod
    def _plan(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Choose who gets the next tests, the minimum of every problem being met.

        Args:
            free: shape (problems,), how many more tests each problem may get.
            room: how many may be granted in total, at least 1.

        Returns:
            Distinct positions and how many tests each gets, at least 1 and no more than is free.
        """

    def _expected_gains(
        self,
        problems: NDArray[np.intp],
        granted: NDArray[np.int32],  # noqa: ARG002 - this and the next: for policies with beliefs
        tests: NDArray[np.int32],  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """What ``tests`` more tests are worth to each of ``problems`` that had ``granted`` before."""
        return np.zeros(len(problems))

    def _spread(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """A plan of budgets as equal as can be; a remainder goes out in the order drawn from the seed."""
        ranks, tests = allocate_greedily(_even_value, self._granted[self._order], free[self._order], room)
        return self._order[ranks], tests

    def _book(self, problems: NDArray[np.intp], tests: NDArray[np.int32], room: int) -> int:
        booked = int(tests.sum())
        allowed = self._ceilings[problems] - self._granted[problems]
        if booked > room or ((tests < 1) | (tests > allowed)).any():
            raise RuntimeError(f"the policy '{self.name}' planned tests beyond its bounds")
        self._granted[problems] += tests
        return booked

    def _check(self, problem: int) -> None:
        if not 0 <= problem < self._problems:
            raise IndexError(f"problem must be between 0 and {self._problems - 1} but is {problem}")

    def _rates(self, pass_rates: NDArray[np.floating]) -> NDArray[np.float64]:
        rates = self._array("pass_rates", pass_rates).astype(np.float64)
        if not ((rates >= 0) & (rates <= 1)).all():
            raise ValueError("predicted pass rates must be between 0 and 1")
        return rates

    def _array(self, what: str, values: ArrayLike) -> NDArray[Any]:
        array = np.array(values)
        if array.shape != (self._problems,):
            raise ValueError(
                f"{what} must hold one number for each of {self._problems} problems but has {array.shape}"
            )
        return array


def _even_value(_positions: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
    """Makes equal budgets: the fewer tests a problem has, the more its next one is worth."""
    return np.asarray(1.0 / (1.0 + tests))

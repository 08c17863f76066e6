"""Interface of allocation policies: ask for grants, tell p_wrong of picks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Required, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testbudget.policies.water_filling import allocate_greedily
from testbudget.rewards.errors import UserError


@dataclass(frozen=True, slots=True)
class Grant:
    """Decision for more tests of one problem.

    Attributes:
        problem: position in the job's list of problems.
        tests: number of tests, at least 1.
    """

    problem: int
    tests: int


class PolicyLimits(TypedDict, total=False):
    """Keyword arguments of every policy; see :class:`Policy`."""

    min_tests: int
    max_tests: Required[int | NDArray[np.integer]]
    seed: int


class Policy(ABC):
    """Allocation of tests to problems by an index, the value of each problem's next test.

    The scheduler calls :meth:`ask` while the cap has tests remaining. It executes the granted tests and
    calls :meth:`tell` with p_wrong of the problem's pick. The minimum of every problem is granted
    first, as evenly as the remaining tests allow. A subclass implements :meth:`_plan`. This class keeps
    bounds and granted numbers.

    Args:
        problems: number of problems. A problem is named by its position, 0 <= position < problems.
        min_tests: tests that every problem gets first, or fewer if its maximum is lower.
        max_tests: maximum of each problem, one number or int (problems,); at most what its generator can
            serve.
        seed: seed of random orders.

    Raises:
        UserError: a negative minimum or maximum, or a minimum above the one maximum of all problems.
        ValueError: no problem, or an array of another shape.
    """

    name: ClassVar[str]
    """Name in job files and reports."""

    static: ClassVar[bool]
    """True if grants do not depend on executed tests, so that budgets are known beforehand."""

    uses_pass_rates: ClassVar[bool] = False
    """True if the policy needs predicted pass rates."""

    uses_gain_models: ClassVar[bool] = False
    """True if the policy needs gain models."""

    uses_curves: ClassVar[bool] = False
    """True if the policy needs each problem's true accuracy curve."""

    def __init__(
        self,
        problems: int,
        *,
        max_tests: int | NDArray[np.integer],
        min_tests: int = 0,
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
        ceilings = (
            self._array("max_tests", max_tests) if np.ndim(max_tests) else np.full(problems, max_tests)
        )
        # A closed problem has a ceiling of zero.
        self._ceilings = np.minimum(ceilings, np.iinfo(np.int32).max).astype(np.int32)
        self._granted = np.zeros(problems, np.int32)
        self._order = np.random.default_rng(seed).permutation(problems)

    @property
    def granted(self) -> NDArray[np.int32]:
        """Tests granted so far, int32 (problems,)."""
        return self._granted.copy()

    def ask(self, remaining: int) -> list[Grant]:
        """Grant at most ``remaining`` tests in total. They count as granted at once.

        Returns:
            At most one grant for each problem, by ascending position. Empty if no problem may get a test,
            or no test has a positive index.

        Raises:
            ValueError: ``remaining`` is negative.
        """
        if remaining < 0:
            raise ValueError(f"remaining tests must not be negative but are {remaining}")
        before = self._granted.copy()
        if remaining and self._min_tests:
            below = np.minimum(self._ceilings, self._min_tests) - self._granted
            remaining -= self._grant(*self._spread(np.maximum(below, 0), remaining), remaining)
        if remaining:
            free = np.maximum(self._ceilings - self._granted, 0)
            self._grant(*self._plan(free, remaining), remaining)
        problems = np.flatnonzero(self._granted != before)
        tests = self._granted[problems] - before[problems]
        return list(map(Grant, problems.tolist(), tests.tolist()))

    def tell(self, problem: int, p_wrong: float) -> None:  # noqa: ARG002 - static policies ignore it
        """Report p_wrong of a problem's pick after its granted tests were executed.

        Args:
            problem: position.
            p_wrong: probability that the present pick is wrong, estimated without ground truth.

        Raises:
            IndexError: unknown position.
        """
        self._check(problem)

    def revoke(self, problem: int, tests: int) -> None:
        """Take back the last ``tests`` tests granted to a problem, for which the cap had too little left.

        Raises:
            IndexError: unknown position.
            ValueError: fewer tests were granted.
        """
        self._check(problem)
        if not 0 <= tests <= self._granted[problem]:
            raise ValueError(f"cannot revoke {tests} tests of {self._granted[problem]} granted")
        self._granted[problem] -= tests

    def close(self, problem: int) -> None:
        """Grant no more tests to a problem.

        Raises:
            IndexError: unknown position.
        """
        self._check(problem)
        self._ceilings[problem] = 0

    def restore(self, granted: NDArray[np.integer]) -> None:
        """Continue from the granted tests of a resumed run, int (problems,).

        The caller then calls :meth:`tell` and :meth:`close` again.

        Raises:
            ValueError: another shape, or a negative number.
        """
        budgets = self._array("granted", granted)
        if (budgets < 0).any():
            raise ValueError("granted tests must not be negative")
        self._granted[:] = budgets

    @abstractmethod
    def _plan(self, free: NDArray[np.int32], remaining: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Choose the next tests, after the minimum of every problem was granted.

        Args:
            free: int32 (problems,), maximum number of further tests of each problem.
            remaining: maximum number of tests in total, at least 1.

        Returns:
            Distinct positions, intp, and the number of tests of each, int32, from 1 to its ``free``.
        """

    def _spread(
        self, free: NDArray[np.int32], remaining: int
    ) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Budgets as equal as possible; a remainder goes to problems in the order drawn from the seed."""
        ranks, tests = allocate_greedily(
            _equal_index, self._granted[self._order], free[self._order], remaining
        )
        return self._order[ranks], tests

    def _grant(self, problems: NDArray[np.intp], tests: NDArray[np.int32], remaining: int) -> int:
        total = int(tests.sum())
        allowed = self._ceilings[problems] - self._granted[problems]
        if total > remaining or ((tests < 1) | (tests > allowed)).any():
            raise RuntimeError(f"the policy '{self.name}' planned tests beyond its bounds")
        self._granted[problems] += tests
        return total

    def _check(self, problem: int) -> None:
        if not 0 <= problem < self._problems:
            raise IndexError(f"problem must be between 0 and {self._problems - 1} but is {problem}")

    def _rates(self, pass_rates: NDArray[np.floating]) -> NDArray[np.float64]:
        rates = self._array("pass_rates", pass_rates).astype(np.float64)
        if not ((rates >= 0) & (rates <= 1)).all():
            raise ValueError("predicted pass rates must be between 0 and 1")
        return rates

    def _array(self, argument: str, values: ArrayLike) -> NDArray[Any]:
        array = np.array(values)
        if array.shape != (self._problems,):
            raise ValueError(
                f"{argument} must hold one number for each of {self._problems} problems but has "
                f"{array.shape}"
            )
        return array


def _equal_index(_positions: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
    """The index of equal budgets, ``1 / (1 + m)`` after m tests."""
    return np.asarray(1.0 / (1.0 + tests))

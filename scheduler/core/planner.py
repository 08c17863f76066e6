"""Choice of the next tests: the policy's largest values, within the bounds of each problem.

A choice of r tests draws the r most valuable ones, one at a time (:func:`allocate_greedily`). Of the tests
drawn for a problem it grants at most the policy's increment, and none beyond the next harm check. Problems
with equal values take turns in an order drawn from the seed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from testbudget.policies.base import Policy
from testbudget.policies.water_filling import allocate_greedily
from testbudget.rewards.problem import WRITTEN_INPUTS
from testbudget.scheduler.core.events import Bools, Floats, Ints, RunStarted
from testbudget.scheduler.core.frontier import Frontier
from testbudget.scheduler.core.problems import ProblemTable

UNLIMITED = 2**62
"""A window or a quantum without end."""

_FIRST = 1e30  # value of a test below the minimum: above every value of a policy
_PRICES = 8  # while all problems are told once
_QUANTA_PER_STEP = 32  # in one step of all problems: work for the time that a block with timeouts takes


@dataclass(frozen=True, slots=True)
class NextTests:
    """Tests to grant.

    Attributes:
        problems: int64 (grants,), positions, the most valuable first.
        first: int64 (grants,), index of the first test among the problem's, or ``WRITTEN_INPUTS``.
        tests: int64 (grants,), at least 1 each.
        values: float64 (grants,), value of the problem's next test by the policy.
    """

    problems: Ints
    first: Ints
    tests: Ints
    values: Floats

    @property
    def of_inputs(self) -> Bools:
        """True for grants of written inputs."""
        return np.asarray(self.first == WRITTEN_INPUTS)

    def of(self, chosen: Bools, tests: Ints) -> "NextTests":
        """The chosen grants, with other numbers of tests, int64 (grants,)."""
        return NextTests(self.problems[chosen], self.first[chosen], tests[chosen], self.values[chosen])


@dataclass(frozen=True, slots=True)
class Grants:
    """Tests granted by one decision.

    Attributes:
        tasks: int64 (grants,), numbers of the tasks.
        problems: int64 (grants,), positions.
        first: int64 (grants,), index of the first test among the problem's, or ``WRITTEN_INPUTS``.
        tests: int64 (grants,).
        values: float64 (grants,), by the policy.
        terms: float64 (grants,) each, what the values are made of.
    """

    tasks: Ints
    problems: Ints
    first: Ints
    tests: Ints
    values: Floats
    terms: Mapping[str, Floats]


class Planner:
    """Choices under one policy.

    If the cap counts tests, no test is granted that is worth less than the last one that the cap would buy
    if it were spent now on all open problems, those in progress included. So problems that are told early
    do not take what others could use better. It is set anew when an eighth of the problems was told.

    If the cap counts tests, those of a static policy are all planned when it is first asked, so that the
    window only decides when they start; another plan is made when a run is idle and something is left. In a
    bounded window a static policy takes steps of several tests: few problems fill it, budgets stay even.

    If a model writes inputs, those of a problem take the place of its next test once it has as many tests
    as the policy says (``Policy.inputs_after``). A grant before that ends there.

    Args:
        started: bounds and seed.
        problems: the problem table, read only.
        policy: values of tests.
    """

    def __init__(self, started: RunStarted, problems: ProblemTable, policy: Policy) -> None:
        self._problems, self._policy = problems, policy
        self._min_tests = started.min_tests
        self._checks = np.asarray(started.checks, np.int64)
        self._order = np.random.default_rng(started.seed).permutation(len(problems))
        self._rank = np.argsort(self._order)
        self._plans = policy.static and started.quantum < UNLIMITED
        bounded = policy.static and started.window < UNLIMITED
        step = math.ceil(_QUANTA_PER_STEP * started.quantum / len(problems)) if bounded else UNLIMITED
        self._step = min(step, UNLIMITED)
        self._inputs_after = policy.inputs_after(started.inputs_price) if started.inputs else None
        self._target: Ints | None = None  # tests planned for each problem
        self._price = 0.0  # a test that is worth less is not granted
        self._told = len(problems)  # problems that were released since the price was computed
        self._released: list[Ints] = []
        self._frontier = Frontier(self._rank, self._next_value)

    def release(self, problems: Ints) -> None:
        """Let problems get tests, for the first time or again."""
        self._told += len(problems)
        self._released.append(problems)

    def put_back(self, problems: Ints) -> None:
        """Let problems get tests that were chosen and not granted."""
        self._released.append(problems)

    def close(self, problems: Ints) -> None:
        """Let problems get no more tests."""
        self._frontier.remove(problems)

    def choose(self, remaining: int, room: int, *, idle: bool) -> NextTests:
        """Choose at most ``min(remaining, room)`` tests, which is at least 1.

        Args:
            remaining: tests that the cap leaves; ``UNLIMITED`` if it counts none.
            room: tests that the window leaves.
            idle: True if nothing is issued and not told, so that a plan may be made anew.
        """
        plans = self._plans and remaining < UNLIMITED
        if plans and self._target is None:
            self._plan(remaining)
        released = np.concatenate([np.zeros(0, np.int64), *self._released])
        self._released.clear()
        if not self._policy.static and (idle or self._told >= len(self._problems) / _PRICES):
            self._set_price(remaining)
        else:
            self._frontier.put(released)
        problems, tests = self._draw(min(remaining, room))
        if plans and idle and not len(problems):
            self._plan(remaining)
            self._frontier.put(self._problems.able())
            problems, tests = self._draw(min(remaining, room))
        granted = self._problems.granted[problems]
        tests = np.minimum(np.minimum(tests, self._policy.increments(granted)), self._step)
        if len(self._checks):
            following = np.searchsorted(self._checks, granted, side="right")
            tests = np.minimum(tests, np.append(self._checks, UNLIMITED)[following] - granted)
        first = granted
        if self._inputs_after is not None:
            lacking = self._problems.lacks_inputs(problems)
            before, now = (
                lacking & (granted < self._inputs_after),
                lacking & (granted == self._inputs_after),
            )
            tests = np.where(
                before, np.minimum(tests, self._inputs_after - granted), np.where(now, 1, tests)
            )
            first = np.where(now, WRITTEN_INPUTS, granted)
        best = np.lexsort((self._rank[problems], -self._index(problems, granted)))
        problems = problems[best]
        values = self._policy.values(problems, granted[best])
        return NextTests(problems, first[best], tests[best], values)

    def terms(self, choice: NextTests) -> dict[str, Floats]:
        """Terms of the values of a choice that is not yet granted; see ``Policy.terms``."""
        return self._policy.terms(choice.problems, self._problems.granted[choice.problems])

    def _draw(self, count: int) -> tuple[Ints, Ints]:
        """The ``count`` most valuable tests of the problems that may get some."""
        candidates = self._frontier.take(min(count, len(self._frontier)))
        candidates = candidates[np.argsort(self._rank[candidates])]
        positions, tests = self._allocate(candidates, self._free(candidates), count)
        rest = np.ones(len(candidates), np.bool_)
        rest[positions] = False
        self._frontier.put(candidates[rest])
        return candidates[positions], tests

    def _plan(self, remaining: int) -> None:
        """Plan the tests that the cap leaves for all open problems, those in progress included."""
        problems, tests = self._affordable(remaining)
        self._target = self._problems.granted.copy()
        self._target[problems] += tests

    def _set_price(self, remaining: int) -> None:
        """Compute the value of the last test that the cap would buy now."""
        self._told, self._price = 0, 0.0
        if remaining < UNLIMITED:
            problems, tests = self._affordable(remaining)
            if tests.sum() + self._inputs_among(problems, tests) >= remaining:
                last = self._problems.granted[problems] + tests - 1
                self._price = float(self._index(problems, last).min(initial=np.inf))
        able = self._problems.able()
        self._frontier.remove(able)
        self._frontier.put(able)

    def _affordable(self, remaining: int) -> tuple[Ints, Ints]:
        """Problems, and tests of each, that the cap would buy now beside the inputs that they lack."""
        everyone = self._order[self._problems.free(self._order) > 0]
        free = self._problems.free(everyone)
        positions, tests = self._allocate(everyone, free, remaining)
        if inputs := self._inputs_among(everyone[positions], tests):
            positions, tests = self._allocate(everyone, free, max(remaining - inputs, 1))
        return everyone[positions], tests

    def _inputs_among(self, problems: Ints, tests: Ints) -> int:
        """Number of problems whose inputs are written before they have got so many more tests."""
        if self._inputs_after is None:
            return 0
        reached = self._problems.granted[problems] + tests > self._inputs_after
        return int((reached & self._problems.lacks_inputs(problems)).sum())

    def _free(self, problems: Ints) -> Ints:
        """Tests that each may get by its bounds and by the plan."""
        free = self._problems.free(problems)
        if self._target is None:
            return free
        return np.asarray(np.minimum(free, self._target[problems] - self._problems.granted[problems]))

    def _allocate(self, problems: Ints, free: Ints, count: int) -> tuple[Ints, Ints]:
        """Draw tests for problems in the order of their ranks; positions among them, and tests of each."""
        granted = self._problems.granted[problems].astype(np.int32)
        free = np.minimum(free, np.iinfo(np.int32).max - granted)
        positions, tests = allocate_greedily(
            lambda at, count: self._worth(problems[at], count.astype(np.int64)),
            granted,
            free.astype(np.int32),
            count,
        )
        return positions, tests.astype(np.int64)

    def _next_value(self, problems: Ints) -> Floats:
        values = self._worth(problems, self._problems.granted[problems])
        return np.where(self._free(problems) > 0, values, 0.0)

    def _worth(self, problems: Ints, granted: Ints) -> Floats:
        """Values of the tests that are worth the price; 0 for the others."""
        values = self._index(problems, granted)
        return np.where(values >= self._price, values, 0.0)

    def _index(self, problems: Ints, granted: Ints) -> Floats:
        values = self._policy.values(problems, granted)
        if not self._min_tests:
            return values
        return np.where(granted < self._min_tests, _FIRST / (1.0 + granted), values)

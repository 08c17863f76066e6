"""Problems split over several drivers: cost in accuracy, with fixed and with moved shares of the cap.

python benchmarks/shards.py [--quick] [--problems N] [--drivers N ...]

The scheduler's core, answered at once from recorded tests in random orders, under ``adaptive``. The cap is
8 tests per problem. Each driver has a part of the problems, drawn at random or sorted by difficulty, and a
core of its own. Shares of the cap are fixed, in proportion to the problems, or moved sixteen times: each
driver says how many tests it would take at each of 64 prices, and a slice of the cap is shared at the price
at which they take all of it. The last line is a JSON object with all figures.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from recorded_parts import recorded_tests

from testbudget.policies.adaptive import Adaptive
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.core import events as e
from testbudget.scheduler.core.events import Floats, Ints
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.simulation import PickEstimates, answer_all
from testbudget.traces.learning_curves import compute_learning_curves, random_permutations

DRIVERS = (1, 4, 16, 64)
SHARES = ("fixed", "moved")
PARTS = ("random", "sorted")
_SEED = 5
_RULE = "calibrated"
_TESTS = 32  # of each problem at most
_TESTS_PER_PROBLEM = 8  # of the cap
_EPOCHS = 16
_PRICES = np.geomspace(1e-3, 8.0, 64)
_QUANTA = 64  # decisions while all problems are told once
_PROBLEMS, _PROBLEMS_QUICK = 1_000_000, 20_000
_PERMUTATIONS, _PERMUTATIONS_QUICK = 8, 2


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedProblems:
    """Problems with what is known of them after every number of tests.

    Attributes:
        estimates: what assessments say, by problem and number of tests.
        accuracy: float64 (problems, tests + 1), of the pick.
    """

    estimates: PickEstimates
    accuracy: Floats

    @classmethod
    def of_recording(cls, permutations: int) -> Self:
        """The recorded problems, each in several random orders of its tests."""
        recorded = recorded_tests()
        curves = []
        for number in range(permutations):
            drawn = random_permutations(recorded, np.random.default_rng([_SEED, number]))
            first = [one[:_TESTS] for one in drawn]
            curves += compute_learning_curves(recorded, first, selection_rule(_RULE))
        return cls(PickEstimates.of(curves), np.stack([curve.accuracy for curve in curves]))

    def taken(self, rows: Ints) -> "SimulatedProblems":
        """Some of the problems, in this order; a problem may come several times."""
        return SimulatedProblems(
            PickEstimates(self.estimates.p_wrong[rows], self.estimates.p_change[rows]),
            self.accuracy[rows],
        )

    @property
    def difficulty(self) -> Ints:
        """Order of the problems by accuracy at equal budgets, the hardest first."""
        return np.argsort(self.accuracy[:, _TESTS_PER_PROBLEM], kind="stable")


class SimulatedDriver:
    """One driver with its problems and its share of the cap.

    Args:
        problems: its problems.
    """

    def __init__(self, problems: SimulatedProblems) -> None:
        self.problems = problems
        self.count = len(problems.accuracy)
        self.cap = 0
        self.policy = Adaptive(self.count)
        self._core: Scheduler | None = None

    def spend(self, share: int) -> None:
        """Spend a further share of the cap, in tests."""
        self.cap += share
        cap = e.Cap({"tests": self.cap})
        if self._core is not None:
            answer_all(self._core, self._core.handle(e.CapChanged(cap)), self.problems.estimates)
        elif share:
            started = e.RunStarted(
                problems=self.count,
                seed=_SEED,
                cap=cap,
                max_tests=np.full(self.count, _TESTS),
                min_tests=0,
                window=self.count,
                quantum=max(1, self.count // _QUANTA),
            )
            self._core = Scheduler(started, lambda _: self.policy)
            answer_all(self._core, self._core.start(), self.problems.estimates)

    @property
    def granted(self) -> Ints:
        """Tests granted to each problem, int64 (problems,)."""
        return np.zeros(self.count, np.int64) if self._core is None else self._core.problems.granted

    def demand(self) -> Ints:
        """Tests that it would take at most at each of the prices, beyond those granted; int64 (prices,)."""
        counts = np.zeros(len(_PRICES) + 1, np.int64)
        everyone, granted = np.arange(self.count), self.granted
        for added in range(_TESTS):
            some = everyone[granted + added < _TESTS]
            values = self.policy.values(some, granted[some] + added)
            counts += np.bincount(np.searchsorted(_PRICES, values, side="right"), minlength=len(counts))
        return counts[::-1].cumsum()[::-1][1:]

    def accuracy(self) -> float:
        """Sum of the accuracy of the picks."""
        return float(self.problems.accuracy[np.arange(self.count), self.granted].sum())


def shares_at_one_price(demands: Sequence[Ints], slice_: int) -> list[int]:
    """Division of a slice of the cap at the price at which the drivers take all of it.

    Args:
        demands: tests that each driver takes at each price, int64 (prices,), falling.
        slice_: tests to divide.

    Returns:
        Tests of each driver, ``slice_`` in all. Between two prices it is interpolated. If all demand
        together is less, the rest is shared evenly.
    """
    table = np.stack([*demands])
    total = table.sum(axis=0)
    affordable = int(np.searchsorted(-total, -slice_))  # the first price at which not too much is taken
    above = table[:, affordable] if affordable < len(total) else np.zeros(len(table), np.int64)
    rest = slice_ - int(above.sum())
    below = (table[:, affordable - 1] if affordable else above) - above
    if below.sum() < max(rest, 1):
        below = np.ones(len(table), np.int64)
    exact = rest * below / below.sum()
    shares = above + np.floor(exact).astype(np.int64)
    missing = slice_ - int(shares.sum())
    shares[np.argsort(np.floor(exact) - exact, kind="stable")[:missing]] += 1
    return [int(share) for share in shares]


def accuracy_of_drivers(problems: SimulatedProblems, drivers: int, part: str, share: str) -> float:
    """Accuracy of the picks of a job in per cent.

    Args:
        problems: all problems, in random order.
        drivers: number of drivers.
        part: one of ``PARTS``, how the problems are split.
        share: one of ``SHARES``, how the cap is.
    """
    count = len(problems.accuracy)
    order = problems.difficulty if part == "sorted" else np.arange(count)
    split = [SimulatedDriver(problems.taken(rows)) for rows in np.array_split(order, drivers)]
    cap = _TESTS_PER_PROBLEM * count
    slices = np.diff(np.linspace(0, cap, _EPOCHS + 1).astype(np.int64)).tolist()
    if share == "fixed" or drivers == 1:
        for driver in split:
            driver.spend(_TESTS_PER_PROBLEM * driver.count)
    else:
        for slice_ in slices:
            for driver, own in zip(
                split, shares_at_one_price([driver.demand() for driver in split], slice_), strict=True
            ):
                driver.spend(own)
    assert sum(int(driver.granted.sum()) for driver in split) <= cap
    return 100 * sum(driver.accuracy() for driver in split) / count


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{_PROBLEMS_QUICK:,} problems")
    parser.add_argument("--problems", type=int, help=f"number of problems (default: {_PROBLEMS:,})")
    parser.add_argument("--drivers", type=int, nargs="+", default=DRIVERS, help="numbers of drivers")
    given = parser.parse_args()
    count = given.problems or (_PROBLEMS_QUICK if given.quick else _PROBLEMS)
    recorded = SimulatedProblems.of_recording(_PERMUTATIONS_QUICK if given.quick else _PERMUTATIONS)
    rows = np.random.default_rng(_SEED).permutation(count) % len(recorded.accuracy)
    problems = recorded.taken(rows)
    equal = 100 * float(problems.accuracy[:, _TESTS_PER_PROBLEM].mean())
    alone = accuracy_of_drivers(problems, 1, "random", "fixed")
    print(f"{count:,} problems; equal budgets {equal:.3f} %, one driver {alone:.3f} %\n")
    print(f"{'drivers':>7}  {'problems':<9}{'shares':<8}{'accuracy %':>11}{'cost, points':>14}{'s':>8}")
    figures: dict[str, float] = {"equal_budgets": round(equal, 4), "one_driver": round(alone, 4)}
    for drivers, part, share in itertools.product(given.drivers, PARTS, SHARES):
        if drivers == 1:
            continue
        begun = time.process_time()
        accuracy = accuracy_of_drivers(problems, drivers, part, share)
        taken = time.process_time() - begun
        print(
            f"{drivers:>7}  {part:<9}{share:<8}{accuracy:>11.3f}{alone - accuracy:>14.3f}{taken:>8.1f}",
            flush=True,
        )
        figures[f"cost_{drivers}_{part}_{share}"] = round(alone - accuracy, 4)
    print("\n" + json.dumps({"problems": count, **figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Worth of dynamic allocation at equal tests, on regimes that had no part in the model of p_change.

For each regime the model of p_change is fitted, without labels, to the regimes of the other families. The
policies see the same tests in the same random orders, under the default rule. Beside their gain over equal
budgets stands the whole, default rule and ``adaptive``, against the static reference: equal budgets with
``majority`` or ``consensus``, whichever is better. The last line is one JSON object.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from change_model import fitted_to, rows_of
from numpy.typing import NDArray
from regimes import Regime, exit_code, regime_parser, regimes_of

from testbudget.analysis.compare.settings import STATIC_RULES
from testbudget.analysis.tables import format_interval
from testbudget.policies.adaptive import Adaptive
from testbudget.policies.base import Floats, Ints, Policy
from testbudget.policies.curves import OracleCurves
from testbudget.policies.uniform import Uniform
from testbudget.rewards.bootstrap import Interval, bootstrap_means, first_crossing, intervals
from testbudget.rewards.confidence.change import ChangeModel, default_change_model
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.simulation import PickEstimates, simulate
from testbudget.traces.learning_curves import compute_learning_curves, permute_tests, random_permutations

SEED = 5
CAPS = (1, 2, 3, 5, 8, 12, 20)
_MOST_TESTS = 60
_ROW_ORDERS = 1


class Powers(Adaptive):
    """Another index: ``p_change^a p_wrong^b p_correct^c / (m + 1)``.

    Args:
        problems: number of problems.
        exponents: a, b and c.
    """

    def __init__(self, problems: int, exponents: tuple[float, float, float]) -> None:
        super().__init__(problems)
        self._exponents = exponents

    def observe(self, problems: Ints, granted: Ints, p_wrong: Floats, p_change: Floats) -> None:  # noqa: ARG002
        """See :meth:`Policy.observe`."""
        of_change, of_wrong, of_correct = self._exponents
        factors = p_change**of_change * p_wrong**of_wrong * (1 - p_wrong) ** of_correct
        self._factors[problems] = np.maximum(factors, 0.01)


INDICES: dict[str, tuple[float, float, float]] = {
    "p_change^1/2": (0.5, 0, 0),
    "p_change": (1, 0, 0),
    "p_wrong^1/2": (0, 0.5, 0),
    "p_wrong": (0, 1, 0),
    "both^1/2": (0.5, 0.5, 0),
    "p_change^1/2 p_correct": (0.5, 0, 1),
    "(p_wrong p_correct)^1/2": (0, 0.5, 0.5),
}
"""Indices beside that of ``adaptive``, which is (1/4, 1/2, 0). The last two leave hopeless problems out."""


@dataclass(frozen=True, slots=True, eq=False)
class RegimeResult:
    """Accuracy on one regime, float64 (orders, problems, caps) each.

    Attributes:
        name: name of the regime.
        caps: tests per problem.
        static: equal budgets, by rule: the static rules and the default one.
        policies: under the default rule at the same number of tests, by name.
    """

    name: str
    caps: tuple[int, ...]
    static: dict[str, NDArray[np.float64]]
    policies: dict[str, NDArray[np.float64]]

    def gains(self, policy: str) -> list[Interval]:
        """Points over equal budgets with the default rule at each cap, and in the mean."""
        return _points(self.policies[policy] - self.static[Calibrated.name])

    def over_static(self, policy: str) -> list[Interval]:
        """Points over the static reference at each cap, and in the mean."""
        one, other = (self.static[rule] for rule in STATIC_RULES)
        better = one.mean(axis=(0, 1)) >= other.mean(axis=(0, 1))
        return _points(self.policies[policy] - np.where(better, one, other))

    def share_of_tests(self, policy: str) -> Interval:
        """Tests for the static reference's best accuracy, as a share of those that it takes itself."""
        columns = [*(self.static[rule] for rule in STATIC_RULES), self.policies[policy]]
        one, other, own = np.split(bootstrap_means(np.concatenate(columns, axis=2), SEED), 3, axis=1)
        static = np.where(one[0] >= other[0], one, other)
        caps = np.array(self.caps, np.float64)
        best = static[:, static[0].argmax()]  # the cap at which it is best, in every resample
        share = first_crossing(best, own, caps) / first_crossing(best, static, caps)
        return intervals(share[:, np.newaxis])[0]


def evaluate(
    regime: Regime, model: ChangeModel, orders: int, caps: Sequence[int], *, indices: bool
) -> RegimeResult:
    """Evaluate all policies on a regime.

    Args:
        regime: the regime.
        model: of p_change, fitted to others.
        orders: random orders of the tests.
        caps: tests per problem.
        indices: True for ``INDICES`` too.
    """
    caps = tuple(cap for cap in caps if cap <= regime.tests.max())
    available = np.minimum(regime.tests, _MOST_TESTS)
    accuracy: dict[str, list[NDArray[np.float64]]] = {rule: [] for rule in (*STATIC_RULES, Calibrated.name)}
    estimates: dict[str, list[PickEstimates]] = {"others": [], "shipped": []}
    steps = np.minimum(np.arange(available.max() + 1), available[:, np.newaxis])
    for order in range(orders):
        drawn = random_permutations(regime.recorded, np.random.default_rng([SEED, order]))
        drawn = [one[:tests] for one, tests in zip(drawn, available, strict=True)]
        permuted = permute_tests(regime.recorded, drawn, change_model=model)
        for rule, found in accuracy.items():
            curves = compute_learning_curves(regime.recorded, drawn, selection_rule(rule), permuted)
            found.append(np.stack([one.accuracy[at] for one, at in zip(curves, steps, strict=True)]))
            if rule == Calibrated.name:
                estimates["others"].append(PickEstimates.of(curves))
        permuted = permute_tests(regime.recorded, drawn, change_model=default_change_model())
        curves = compute_learning_curves(regime.recorded, drawn, Calibrated(), permuted)
        estimates["shipped"].append(PickEstimates.of(curves))
    grid = {rule: np.stack(found) for rule, found in accuracy.items()}
    problems = len(available)
    made: dict[str, tuple[str, Callable[[int], Policy]]] = {
        "adaptive": ("others", lambda _: Adaptive(problems)),
        "adaptive, shipped weights": ("shipped", lambda _: Adaptive(problems)),
    }
    if indices:
        for name, exponents in INDICES.items():
            made[name] = ("others", lambda _, powers=exponents: Powers(problems, powers))
    if orders > 1:
        made["oracle-curves"] = ("others", lambda order: OracleCurves(_others_mean(grid, order, available)))
    spent = np.array([np.minimum(cap, available).sum() for cap in caps])
    policies = {}
    for name, (estimated, make) in made.items():
        granted = np.stack(
            [
                [
                    simulate(make(order), cap, available, estimates[estimated][order], seed=SEED + order)
                    for cap in spent.tolist()
                ]
                for order in range(orders)
            ]
        )
        policies[name] = np.take_along_axis(grid[Calibrated.name], granted.transpose(0, 2, 1), axis=2)
    equal = np.stack([simulate(Uniform(), cap, available) for cap in spent.tolist()], axis=1)
    static = {rule: np.take_along_axis(found, equal[np.newaxis], axis=2) for rule, found in grid.items()}
    return RegimeResult(regime.name, caps, static, policies)


def _others_mean(grid: dict[str, NDArray[np.float64]], order: int, available: Ints) -> Floats:
    means: Floats = np.delete(grid[Calibrated.name], order, axis=0).mean(axis=0)
    means[np.arange(means.shape[1]) > available[:, np.newaxis]] = np.nan
    return means


def _points(difference: NDArray[np.float64]) -> list[Interval]:
    columns = np.concatenate([difference, difference.mean(axis=2, keepdims=True)], axis=2)
    return intervals(bootstrap_means(100 * columns, SEED))


def print_result(result: RegimeResult) -> None:
    """Print the tables of a regime."""
    print(f"\n{result.name}: equal budgets, in %, at {', '.join(map(str, result.caps))} tests per problem")
    for rule, found in result.static.items():
        print(f"  {rule:<28}" + "".join(f"{value:>8.1f}" for value in 100 * found.mean(axis=(0, 1))))
    print("points over equal budgets with the default rule, and their mean")
    for policy in result.policies:
        *cells, mean = result.gains(policy)
        print(f"  {policy:<28}" + "".join(f"{cell.value:>+8.1f}" for cell in cells), end="")
        print(f"   {format_interval(mean, form='+.2f')}")
    whole = result.over_static("adaptive")
    print("default rule + adaptive over the static reference, and their mean")
    print("  " + " ".join(format_interval(cell, form="+.1f") for cell in whole))
    shares = {
        name: format_interval(result.share_of_tests(name), form=".2f")
        for name in ("adaptive", "oracle-curves")
        if name in result.policies
    }
    print(
        "share of the reference's tests for its accuracy: "
        + ", ".join(f"{n} {s}" for n, s in shares.items())
    )


def as_record(result: RegimeResult) -> dict[str, Any]:
    """The figures of a regime, for a program."""

    def triple(one: Interval) -> list[float | None]:
        numbers = (one.value, one.low, one.high)
        return [round(number, 3) if np.isfinite(number) else None for number in numbers]

    return {
        "caps": list(result.caps),
        "gain": {name: triple(result.gains(name)[-1]) for name in result.policies},
        "over static": [triple(cell) for cell in result.over_static("adaptive")],
        "share of tests": {
            name: triple(result.share_of_tests(name))
            for name in ("adaptive", "oracle-curves")
            if name in result.policies
        },
    }


def main() -> int:
    """Run the benchmark."""
    parser = regime_parser(__doc__)
    parser.add_argument("--orders", type=int, default=12, help="random orders (default: %(default)s)")
    parser.add_argument("--no-indices", action="store_true", help="leave the other indices out")
    parser.add_argument("--quick", action="store_true", help="2 orders, every fourth problem")
    given = parser.parse_args()
    regimes = regimes_of(given)
    orders = given.orders
    if given.quick:
        orders = 2
        regimes = [Regime(one.name, one.family, one.recorded[::4]) for one in regimes]
    rows = [rows_of(regime, _ROW_ORDERS, SEED) for regime in regimes]
    results = []
    for regime in regimes:
        others = [at for at, one in enumerate(regimes) if one.family != regime.family]
        model = fitted_to([regimes[at] for at in others], [rows[at] for at in others], "other families")
        results.append(evaluate(regime, model, orders, CAPS, indices=not given.no_indices))
        print_result(results[-1])
        sys.stdout.flush()
    print("\nmean over the regimes, points over equal budgets")
    for policy in results[0].policies:
        gains = [one.gains(policy)[-1].value for one in results if policy in one.policies]
        print(f"  {policy:<28}{np.mean(gains):>+8.2f}, from {min(gains):+.2f} to {max(gains):+.2f}")
    print(json.dumps({one.name: as_record(one) for one in results}))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))

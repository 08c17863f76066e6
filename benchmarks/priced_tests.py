"""Allocation by the unit of the cap, and fewer executions of each test, on recorded outcomes.

First, caps on tokens, executions and CPU-seconds: ``adaptive`` as it is, and with its values divided by the
price of the problem's tests, the mean of those it has got so far. Then tests that are executed on leading
output groups alone, beside elimination. All under the default rule, on the same tests in the same random
orders. Intervals are 95 % of a paired bootstrap over problems and orders. The last line is one JSON object.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from regimes import Regime, exit_code, regime_parser, regimes_of

from testbudget.analysis.permuted_runs import ColumnsOfTests, EliminatedEvidence, eliminate
from testbudget.analysis.tables import format_interval
from testbudget.policies.adaptive import Adaptive
from testbudget.rewards.bootstrap import Interval, bootstrap_means, intervals
from testbudget.rewards.elimination import has_representative
from testbudget.rewards.equivalence import equivalence_groups, impute_followers
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.batch import combine_batch, contribution_by
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.scheduler.simulation import PickEstimates
from testbudget.traces.learning_curves import compute_learning_curves, permute_tests, random_permutations
from testbudget.traces.records import QUANTITIES

SEED = 13
CAPS = (2, 3, 5, 8)
COUNTS = (3, 5, 8, 12, 20)
UNITS = ("tokens", "executions", "cpu_seconds")
EXPONENTS = {"price left out": 0.0, "price^1/2": 0.5, "price": 1.0}
LEADING = (2, 3, 4)
_RUNG_ENDS = (2, 3, 5, 8, 12, 20)  # leading groups are determined anew after so many tests
_MOST_TESTS = 40
_NEVER = 1e9  # z at which no candidate is eliminated


def spend(
    estimates: PickEstimates, spent: NDArray[np.float64], cap: float, exponent: float, seed: int
) -> NDArray[np.intp]:
    """Tests that ``adaptive`` grants each problem until no further test fits under the cap.

    Args:
        estimates: p_wrong and p_change after each number of tests.
        spent: float64 (problems, tests + 1), cost of the first m tests; constant beyond a problem's last.
        cap: amount of the same unit.
        exponent: of the price, which the values are divided by.
        seed: seed of the order among equal values.
    """
    problems, available = len(spent), (np.diff(spent, axis=1) > 0).sum(axis=1)
    policy, rank = Adaptive(problems), np.random.default_rng(seed).permutation(problems)
    granted, left, closed = np.zeros(problems, np.int64), cap, available == 0
    everyone = np.arange(problems)
    while not closed.all():
        used = spent[everyone, granted]
        usual = used.sum() / max(1, granted.sum())
        prices = (used + usual) / (granted + 1)
        values = policy.values(everyone, granted) / np.maximum(prices, 1e-9) ** exponent
        values[closed] = -1
        chosen = int(np.lexsort((rank, -values))[0])
        for _ in range(int(policy.increments(granted[[chosen]])[0])):
            cost = spent[chosen, granted[chosen] + 1] - spent[chosen, granted[chosen]]
            if cost > left:
                closed[chosen] = True
                break
            left -= cost
            granted[chosen] += 1
            if granted[chosen] == available[chosen]:
                closed[chosen] = True
                break
        at = chosen, granted[chosen]
        one = np.array([chosen])
        policy.observe(
            one, granted[one], estimates.p_wrong[at][np.newaxis], estimates.p_change[at][np.newaxis]
        )
    return granted


def equal_budgets(spent: NDArray[np.float64], cap: float, seed: int) -> NDArray[np.intp]:
    """Tests of equal budgets, one after the other, until the next one does not fit under the cap."""
    order = np.random.default_rng(seed).permutation(len(spent))
    costs = np.diff(spent, axis=1)[order]
    total = np.cumsum(costs.T.ravel()).reshape(costs.T.shape).T
    granted = np.zeros(len(spent), np.intp)
    granted[order] = ((costs > 0) & (total <= cap)).sum(axis=1)
    return granted


def judge_prices(regime: Regime, orders: int) -> dict[str, dict[str, list[Interval]]]:
    """Points by unit and comparison, at each cap and in the mean; unrecorded units are left out."""
    caps = [cap for cap in CAPS if cap < regime.tests.max()]
    available = np.minimum(regime.tests, _MOST_TESTS)
    steps = np.minimum(np.arange(available.max() + 1), available[:, np.newaxis])
    found: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
    for order in range(orders):
        drawn = random_permutations(regime.recorded, np.random.default_rng([SEED, order]))
        drawn = [one[:tests] for one, tests in zip(drawn, available, strict=True)]
        curves = compute_learning_curves(
            regime.recorded, drawn, Calibrated(), permute_tests(regime.recorded, drawn)
        )
        accuracy = np.stack([one.accuracy[at] for one, at in zip(curves, steps, strict=True)])
        costs = np.stack([one.spent[at] for one, at in zip(curves, steps, strict=True)])
        estimates = PickEstimates.of(curves)
        for unit in UNITS:
            spent = costs[..., QUANTITIES.index(unit)]
            if np.isnan(spent).any() or not spent.any():
                continue
            columns: dict[str, list[NDArray[np.intp]]] = {}
            for cap in caps:
                total = float(spent[np.arange(len(spent)), np.minimum(cap, available)].sum())
                columns.setdefault("equal", []).append(equal_budgets(spent, total, SEED + order))
                for name, exponent in EXPONENTS.items():
                    granted = spend(estimates, spent, total, exponent, SEED + order)
                    columns.setdefault(name, []).append(granted)
            for name, of_caps in columns.items():
                taken = np.take_along_axis(accuracy, np.stack(of_caps, axis=1), axis=1)
                found.setdefault(unit, {}).setdefault(name, []).append(taken)
    result = {}
    for unit, by_name in found.items():
        stacked = {name: np.stack(of_orders) for name, of_orders in by_name.items()}
        plain, *priced = EXPONENTS
        result[unit] = {
            f"{plain}, over equal budgets": _points(stacked[plain] - stacked["equal"]),
            **{f"{name}, over {plain}": _points(stacked[name] - stacked[plain]) for name in priced},
        }
    return result


def run_on_leading(tests: ColumnsOfTests, groups: int) -> EliminatedEvidence:
    """Execute tests on the output groups with the highest scores alone, and one program of stable groups.

    Args:
        tests: tests of a problem.
        groups: number of groups.
    """
    evidence, voted = tests.evidence, tests.voted
    could_run = evidence.votes.run()
    left_out = np.zeros_like(could_run)
    ends = [voted[min(end, len(voted) - 1)] for end in _RUNG_ENDS]
    for known, until in zip(ends, [*ends[1:], len(could_run)], strict=True):
        if known == until:
            continue
        seen = impute_followers(evidence.first(known), left_out[:known])
        scores = Calibrated().scores(PrefixStatistics(seen, [known]))[0]
        group = equivalence_groups(seen)
        best = np.full(group.max() + 1, -np.inf)
        np.maximum.at(best, group, scores)
        running = best[group] >= np.sort(best)[-min(groups, len(best))]
        running &= ~has_representative(seen, running)
        left_out[known:until] = ~running
    executions = np.concatenate([[0], np.cumsum((could_run & ~left_out) @ tests.programs)])
    return EliminatedEvidence(
        impute_followers(evidence, left_out), voted * len(tests.column), executions[voted]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Executed:
    """Accuracy and executions of one way to execute tests, float64 (orders, problems, counts) each."""

    accuracy: NDArray[np.float64]
    executions: NDArray[np.float64]


def judge_leading(regime: Regime, orders: int) -> dict[str, Executed]:
    """All ways to execute the tests of a regime, by name."""
    counts = np.array([count for count in COUNTS if count <= regime.tests.max()])
    ways: dict[str, Callable[[ColumnsOfTests], EliminatedEvidence]] = {
        "all": lambda tests: eliminate(tests, Calibrated(), _NEVER),
        "elimination": lambda tests: eliminate(tests, Calibrated(), None),
        **{f"{groups} leading groups": partial(run_on_leading, groups=groups) for groups in LEADING},
    }
    shape = (orders, len(regime.recorded), len(counts))
    result = {name: Executed(np.zeros(shape), np.zeros(shape)) for name in ways}
    for order in range(orders):
        drawn = random_permutations(regime.recorded, np.random.default_rng([SEED, order]))
        columns = [
            ColumnsOfTests.of(
                one, tests[: counts.max()], one.merged_evidence(tests[: counts.max()]), merge=True
            )
            for one, tests in zip(regime.recorded, drawn, strict=True)
        ]
        for name, way in ways.items():
            executed = [way(one) for one in columns]
            every = [
                PrefixStatistics(one.evidence, range(one.evidence.votes.tests + 1)) for one in executed
            ]
            batch = combine_batch([contribution_by(one) for one in every])
            for position, (one, tests, statistics) in enumerate(zip(executed, columns, every, strict=True)):
                known = np.minimum(counts, len(tests.voted) - 1)
                won = Calibrated().winners_by(statistics.at(tests.voted[known]).with_batch(batch))
                won = won[:, tests.column]
                correct = regime.recorded[position].correct
                result[name].accuracy[order, position] = (won & correct).sum(axis=1) / won.sum(axis=1)
                result[name].executions[order, position] = one.executions[known]
    return result


def at_equal_executions(one: Executed, other: Executed) -> list[Interval]:
    """Points of one over another at the executions that the other needs at each count, and their mean.

    Accuracy between two counts is linear in executions.
    """
    columns = [one.accuracy, one.executions, other.accuracy, other.executions]
    own, own_spent, theirs, spent = np.split(
        bootstrap_means(np.concatenate(columns, axis=2), SEED), 4, axis=1
    )
    reached = np.array([np.interp(at, x, y) for at, x, y in zip(spent, own_spent, own, strict=True)])
    points = 100 * (reached - theirs)
    return intervals(np.column_stack([points, points.mean(axis=1)]))


def _points(difference: NDArray[np.float64]) -> list[Interval]:
    columns = np.concatenate([difference, difference.mean(axis=2, keepdims=True)], axis=2)
    return intervals(bootstrap_means(100 * columns, SEED))


def print_result(
    regime: Regime, prices: dict[str, dict[str, list[Interval]]], leading: dict[str, Executed]
) -> dict[str, Any]:
    """Print the tables of a regime; return their figures for a program."""
    print(f"\n{regime.name}: points under caps that buy {', '.join(map(str, CAPS))} tests, and their mean")
    for unit, by_name in prices.items():
        for name, points in by_name.items():
            cells = "".join(f"{cell.value:>+7.1f}" for cell in points[:-1])
            print(f"  {unit:<12}{name:<32}{cells}   {format_interval(points[-1], form='+.2f')}")
    print(f"accuracy in %, executions of a problem, after {', '.join(map(str, COUNTS))} tests;")
    print("points over elimination at its executions, mean")
    figures: dict[str, Any] = {
        "prices": {
            unit: {name: _triple(found[-1]) for name, found in by.items()} for unit, by in prices.items()
        }
    }
    for name, one in leading.items():
        accuracy, executions = (array.mean(axis=(0, 1)) for array in (one.accuracy, one.executions))
        gain = at_equal_executions(one, leading["elimination"])[-1]
        print(
            f"  {name:<20}"
            + "".join(f"{100 * value:>7.1f}" for value in accuracy)
            + "".join(f"{value:>8.0f}" for value in executions)
            + f"   {format_interval(gain, form='+.2f')}"
        )
        figures.setdefault("leading", {})[name] = _triple(gain)
    sys.stdout.flush()
    return figures


def _triple(one: Interval) -> list[float]:
    return [round(number, 3) for number in (one.value, one.low, one.high)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = regime_parser(__doc__)
    parser.add_argument("--orders", type=int, default=6, help="random orders (default: %(default)s)")
    parser.add_argument("--every", type=int, default=1, help="of so many problems judge one (default: 1)")
    parser.add_argument("--quick", action="store_true", help="1 order, every sixth problem")
    given = parser.parse_args(arguments)
    orders, every = (1, 6) if given.quick else (given.orders, given.every)
    regimes = [Regime(one.name, one.family, one.recorded[::every]) for one in regimes_of(given)]
    figures = {
        one.name: print_result(one, judge_prices(one, orders), judge_leading(one, orders))
        for one in regimes
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))

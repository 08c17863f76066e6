"""Weights of p_change, fitted to every regime without labels, and how well they foresee changes elsewhere.

For each regime, a model that is fitted to the other families says after each number of tests whether the
pick's output group changes with a quarter more tests. ``--print-model`` prints the model of all regimes as
it stands in ``rewards/confidence/change.json``. The last line is one JSON object.
"""

import json
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from regimes import Regime, exit_code, regime_parser, regimes_of, variants

from testbudget.rewards.confidence.change import ChangeModel, default_change_model
from testbudget.rewards.confidence.change_fit import ChangeRows, change_rows, fit_change_model
from testbudget.rewards.prefix_statistics import output_groups_or_pass_sets
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.traces.learning_curves import permute_tests, random_permutations

SEED = 11
ORDERS = 4
_MOST_TESTS = 40
_MODELS = ("shipped", "family left out")
_FAMILY_WEIGHT = 2000.0  # sum of the row weights of a family


def rows_of(regime: Regime, orders: int, seed: int) -> list[ChangeRows]:
    """Training data of a regime: its problems in random orders of their tests, under the default rule."""
    rule, rows = Calibrated(), []
    for order in range(orders):
        drawn = random_permutations(regime.recorded, np.random.default_rng([seed, order]))
        drawn = [one[:_MOST_TESTS] for one in drawn]
        for one in permute_tests(regime.recorded, drawn):
            groups = output_groups_or_pass_sets(one.statistics.evidence)
            won = rule.winners_by(one.statistics) * one.statistics.sizes
            rows.append(change_rows(one.statistics, won, groups))
    return rows


def weighted(rows: Sequence[ChangeRows], weight: float) -> Iterator[ChangeRows]:
    """The rows with weights that add up to a weight."""
    total = sum(float(one.weights.sum()) for one in rows)
    for one in rows:
        yield ChangeRows(one.features, one.changes, one.weights * weight / total)


def fitted_to(regimes: Sequence[Regime], rows: Sequence[Sequence[ChangeRows]], source: str) -> ChangeModel:
    """The model of some regimes, each family of which has the same weight."""
    families = [regime.family for regime in regimes]
    every = [
        one
        for family, of_regime in zip(families, rows, strict=True)
        for one in weighted(of_regime, _FAMILY_WEIGHT / families.count(family))
    ]
    return fit_change_model(every, source)


def auroc(said: NDArray[np.float64], changes: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Weighted probability that a change was said to be likelier than none, ties counting half."""
    _, place = np.unique(said, return_inverse=True)
    positive = np.bincount(place, changes * weights)
    negative = np.bincount(place, (1 - changes) * weights)
    below = np.cumsum(negative) - negative
    return float(positive @ (below + negative / 2) / (positive.sum() * negative.sum()))


def main() -> int:
    """Run the benchmark."""
    parser = regime_parser(__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, help="random orders (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="1 order, every third problem, no variants")
    parser.add_argument("--print-model", action="store_true", help="only print the model of all regimes")
    given = parser.parse_args()
    regimes = regimes_of(given)
    orders = given.orders
    if given.quick:
        orders = 1
        regimes = [Regime(one.name, one.family, one.recorded[::3]) for one in regimes]
    rows = []
    for regime in regimes:
        print(f"reading {regime.name} ...", file=sys.stderr, flush=True)
        some = [regime] if given.quick else variants(regime)
        rows.append([row for one in some for row in rows_of(one, orders, SEED)])
    if given.print_model:
        source = f"fitted on {', '.join(one.name for one in regimes)}, without labels"
        print(fitted_to(regimes, rows, source).as_json(), end="")
        return 0
    result = {}
    print(f"{'regime':<24}{'changes':>9}{'said':>14}{'family out':>14}{'AUROC':>14}{'family out':>14}")
    for position, regime in enumerate(regimes):
        own = rows[position]
        features = np.concatenate([one.features for one in own])
        changes = np.concatenate([one.changes for one in own])
        weights = np.concatenate([one.weights for one in own])
        models = {_MODELS[0]: default_change_model()}
        others = [at for at, one in enumerate(regimes) if one.family != regime.family]
        if others:
            models[_MODELS[1]] = fitted_to([regimes[at] for at in others], [rows[at] for at in others], "")
        said = {name: one.model.probability(features) for name, one in models.items()}
        result[regime.name] = {
            "changes": round(float(np.average(changes, weights=weights)), 4),
            "said": {name: round(float(np.average(one, weights=weights)), 4) for name, one in said.items()},
            "auroc": {name: round(auroc(one, changes, weights), 4) for name, one in said.items()},
        }
        print(f"{regime.name:<24}{result[regime.name]['changes']:>9.3f}", end="")
        for figures in (result[regime.name]["said"], result[regime.name]["auroc"]):
            print("".join(f"{figures.get(name, np.nan):>14.3f}" for name in _MODELS), end="")
        print()
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))

"""p_gain and p_harm on regimes that they were not fitted to: shipped, and fitted to other families.

For each regime: in what share of the states far more tests raise, or lower, the expected accuracy of the
default rule's pick by more than 5 points; what the shipped models say, and models fitted with the labels of
the other families; AUROC and Brier score of both, beside the score of always saying the mean. States are
those after 5 tests and more. The last line is one JSON object.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from generalisation_confidence import auroc
from numpy.typing import NDArray
from regimes import Regime, draw, exit_code, regime_parser, regimes_of, variants

from testbudget.rewards.confidence.features import pick_features, split_half_agreement
from testbudget.rewards.confidence.model import ConfidenceTarget, LogisticModel, RuleFamily, default_models
from testbudget.rewards.selection.batch import combine_batch
from testbudget.rewards.selection.calibrated import Calibrated

SEED = 7
COUNTS = (0, 1, 2, 3, 5, 8, 12, 20)
_JUDGED_FROM = 5  # tests
_MIN_CHANGE = 0.05
_FAMILY_WEIGHT = 3000.0  # sum of the row weights of all families
_SIGNS = {ConfidenceTarget.RISES: 1.0, ConfidenceTarget.FALLS: -1.0}


@dataclass(frozen=True, slots=True, eq=False)
class EffectRows:
    """Picks of one regime after some of their tests, with and without its outputs.

    Attributes:
        regime: name of the regime.
        family: its family.
        features: float64 (rows, features), as p_gain and p_harm are computed from.
        change: float64 (rows,), expected accuracy after all tests less that after the present ones.
        tests: intp (rows,), present tests.
        with_outputs: bool (rows,), True if outputs are known.
    """

    regime: str
    family: str
    features: NDArray[np.float64]
    change: NDArray[np.float64]
    tests: NDArray[np.intp]
    with_outputs: NDArray[np.bool_]

    def of(self, rows: NDArray[np.bool_]) -> "EffectRows":
        """Some of the rows."""
        return replace(
            self,
            features=self.features[rows],
            change=self.change[rows],
            tests=self.tests[rows],
            with_outputs=self.with_outputs[rows],
        )

    def events(self, target: ConfidenceTarget) -> NDArray[np.float64]:
        """1 where accuracy rises, or falls, by more than 5 points."""
        return (_SIGNS[target] * self.change > _MIN_CHANGE).astype(np.float64)


def effect_rows(regime: Regime, some: Sequence[Regime]) -> EffectRows:
    """Rows of a regime and its variants, in one random order of the tests each."""
    rows = [row for one in some for row in _rows_of(one)]
    features, change, tests, with_outputs = (np.array(column) for column in zip(*rows, strict=True))
    return EffectRows(regime.name, regime.family, features, change, tests, with_outputs)


def _rows_of(regime: Regime) -> Iterator[tuple[NDArray[np.float64], float, int, bool]]:
    rule, most = Calibrated(), int(regime.tests.max())
    counts = [count for count in COUNTS if count < most]
    drawn = draw(regime, 0, (*counts, most), SEED)
    batch = combine_batch([one.part for one in drawn])
    for one in drawn:
        whole = replace(one.whole_evidence, batch=batch)
        won = one.winners(rule, one.statistics.with_batch(batch))
        accuracy = (won & one.recorded.correct).sum(axis=1) / won.sum(axis=1)
        for number, votes in enumerate(one.votes_of[:-1].tolist()):
            if votes == one.votes_of[-1]:
                continue
            seen, winners = whole.first(votes), np.flatnonzero(won[number])
            features = np.concatenate(
                [pick_features(seen, winners), split_half_agreement(seen, rule, winners)]
            )
            yield features, accuracy[-1] - accuracy[number], counts[number], seen.outputs is not None


def fit(others: Sequence[EffectRows], target: ConfidenceTarget) -> LogisticModel:
    """The model of some regimes; families have the same weight, and so have regimes of one family."""
    families = [one.family for one in others]
    weights = [
        np.full(
            len(one.change),
            _FAMILY_WEIGHT / len(set(families)) / families.count(one.family) / len(one.change),
        )
        for one in others
    ]
    return LogisticModel.fit(
        np.concatenate([one.features for one in others]),
        np.concatenate([one.events(target) for one in others]),
        np.concatenate(weights),
    )


def judge(every: Sequence[EffectRows], target: ConfidenceTarget, *, with_outputs: bool) -> dict[str, Any]:
    """Figures of each regime, shipped and with its family left out, printed too."""
    family = RuleFamily.OUTPUTS_USED if with_outputs else RuleFamily.VOTES
    shipped = default_models().models[target, family]
    known = [one.of(one.with_outputs == with_outputs) for one in every]
    known = [one for one in known if len(one.change)]
    if len({one.family for one in known}) < 2:
        return {}
    print(f"\n{target}, {family}")
    print(f"{'':<24}{'seen, %':>8}{'base':>7}{'shipped: said, AUROC, Brier':>30}{'family left out':>24}")
    result: dict[str, Any] = {}
    for one in known:
        late = one.of(one.tests >= _JUDGED_FROM)
        others = [other for other in known if other.family != one.family]
        if not len(late.change):
            continue
        events = late.events(target)
        said = {
            "shipped": np.mean([model.probability(late.features) for model in shipped], axis=0),
            "family left out": fit(others, target).probability(late.features),
        }
        base = float(events.mean() * (1 - events.mean()))
        figures = {
            name: [float(p.mean()), auroc(p, events), float(((p - events) ** 2).mean())]
            for name, p in said.items()
        }
        print(f"{one.regime:<24}{100 * events.mean():>8.0f}{base:>7.3f}", end="")
        for name, (mean, area, brier) in figures.items():
            shown = f"{area:.2f}" if np.isfinite(area) else "unknown"
            cells = f"{100 * mean:.0f}, {shown}, {brier:.3f}"
            print(f"{cells:>{30 if name == 'shipped' else 24}}", end="")
        print(flush=True)
        result[one.regime] = {"seen": round(float(events.mean()), 4), "base": round(base, 4)} | {
            name: [round(value, 4) if np.isfinite(value) else None for value in of_name]
            for name, of_name in figures.items()
        }
    for name in ("shipped", "family left out"):
        areas = [one[name][1] for one in result.values() if one[name][1] is not None]
        briers = np.mean([one[name][2] for one in result.values()])
        base = np.mean([one["base"] for one in result.values()])
        mean_area = f"{np.mean(areas):.3f}" if areas else "unknown"
        print(f"mean, {name}: AUROC {mean_area}, Brier {briers:.3f}, base {base:.3f}")
    return result


def main() -> int:
    """Run the benchmark."""
    parser = regime_parser(__doc__)
    parser.add_argument("--quick", action="store_true", help="every sixth problem, no variants")
    given = parser.parse_args()
    regimes = regimes_of(given)
    if given.quick:
        regimes = [Regime(one.name, one.family, one.recorded[::6]) for one in regimes]
    every = []
    for regime in regimes:
        print(f"reading {regime.name} ...", file=sys.stderr, flush=True)
        every.append(effect_rows(regime, [regime] if given.quick else variants(regime)))
    figures = {
        f"{target}, {'outputs' if with_outputs else 'votes'}": judge(
            every, target, with_outputs=with_outputs
        )
        for target in _SIGNS
        for with_outputs in (True, False)
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))

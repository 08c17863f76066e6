"""Selection, confidence and allocation on writers and models that had no part in their design.

Regimes are the recordings in ``examples``, and the runs and files of votes that are named. Each is judged
with the constants as shipped, and with constants fitted to the other regimes, or other families, alone.
All rules and policies see the same random orders of the tests. An interval is a paired 95 % bootstrap over
problems and orders. The last line is one JSON object.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from generalisation_confidence import (
    Changes,
    Guarantees,
    at_true_level,
    auroc,
    calibration_error,
    judge_later,
    p_correct,
    perfect_error,
    test_quality,
)
from left_out import FitData, fit_data, fitted_model, fitted_weights
from numpy.typing import NDArray
from regimes import (
    EXAMPLES,
    DrawnTests,
    Regime,
    draw,
    exit_code,
    files_of,
    made_regimes,
    read_regime,
    variants,
    with_candidates,
)

from testbudget.analysis.gain_model_cache import GainModelCache
from testbudget.policies.base import PolicyContext
from testbudget.policies.registry import create_policy, policy_class
from testbudget.rewards.bootstrap import Interval, bootstrap_means, intervals
from testbudget.rewards.confidence.model import (
    ConfidenceModels,
    ConfidenceTarget,
    LogisticModel,
    RuleFamily,
    default_models,
)
from testbudget.rewards.quality import TestQuality
from testbudget.rewards.seeds import CONFIDENCE_FOLDS
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import combine_batch
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.selection.running_batch import RunningBatch
from testbudget.scheduler.simulation import PickEstimates, simulate
from testbudget.traces.learning_curves import (
    LearningCurve,
    compute_learning_curves,
    permute_tests,
    random_permutations,
)

SEED = 7
COUNTS = (1, 3, 5, 8, 12, 20)
FIXED = tuple(name for name in SELECTION_RULES if name not in (Calibrated.name, "dawid-skene"))
"""The other rules. The best of them on a regime is what the default rule has to match. One is left out: it
takes longer than all others together, and ``benchmarks/selection.py`` shows that it is never the best."""

STATIC = ("majority", "consensus")
POLICIES = ("adaptive", "oracle-curves")
CANDIDATES = (16, 32, 100)
BATCHES = (1, 5, 20)
RUNNING = "while tests come in"
ALONE = "without a batch"
_MOST_TESTS = 3  # times the largest count: tests of a problem that policies may grant


@dataclass(slots=True)
class Settings:
    """Extent of a benchmark.

    Attributes:
        counts: numbers of tests per problem.
        orders: random orders of the tests.
        part_orders: orders for few candidates, small batches and p_correct, which take longest; 0 to leave
            them out.
        policy_orders: orders for allocation; 0 to leave it out.
        sizes: True to judge few candidates and small batches.
    """

    counts: tuple[int, ...] = COUNTS
    orders: int = 24
    part_orders: int = 6
    policy_orders: int = 24
    sizes: bool = True


@dataclass(slots=True)
class RegimeFigures:
    """Results of one regime.

    Attributes:
        regime: the regime.
        counts: numbers of tests that it has.
        accuracy: float64 (orders, problems, counts) by rule; ``default`` is the default rule, with
            ``default, regime left out`` and ``default, family left out`` beside it.
        by_size: float64 (orders, problems, counts) by number of candidates or size of the batch.
        by_policy: float64 (orders, problems, counts) by rule and policy, at equal mean tests.
        tests: realised mean tests by rule and policy, by count.
        said: float64 (orders, problems, counts), p_correct of the default rule, by the models used; empty
            if not judged.
        said_of_few: the same with 16 candidates, if there are more.
        guarantees: bounds on overtaking; None if not judged.
        changes: p_gain and p_harm; None if not judged.
        quality: quality of single tests by the labels, and as estimated by the models used.
    """

    regime: Regime
    counts: tuple[int, ...]
    accuracy: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    by_size: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    by_policy: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    tests: dict[str, dict[int, float]] = field(default_factory=dict)
    said: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    said_of_few: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    guarantees: Guarantees | None = None
    changes: Changes | None = None
    quality: tuple[TestQuality, dict[str, TestQuality]] | None = None

    @property
    def best_fixed(self) -> str:
        """The fixed rule with the highest mean accuracy over all counts."""
        return max(FIXED, key=lambda name: float(self.accuracy[name].mean()))


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The default rule and its models of p_correct, fitted to some regimes.

    Attributes:
        rule: the rule.
        of_picks, of_candidates: the models.
    """

    rule: SelectionRule
    of_picks: LogisticModel
    of_candidates: LogisticModel

    @classmethod
    def shipped(cls) -> "Fitted":
        """As shipped."""
        models, family = default_models(), RuleFamily.OUTPUTS_USED
        of_picks, of_candidates = (
            models.model(target, family, 0)
            for target in (ConfidenceTarget.PICK, ConfidenceTarget.CANDIDATE)
        )
        return cls(Calibrated(), of_picks, of_candidates)

    @classmethod
    def to(cls, data: Sequence[FitData]) -> "Fitted":
        """Fitted to regimes."""
        of_picks, of_candidates = (
            fitted_model(data, target) for target in (ConfidenceTarget.PICK, ConfidenceTarget.CANDIDATE)
        )
        return cls(Calibrated(fitted_weights(data)), of_picks, of_candidates)


def judge(regime: Regime, settings: Settings, left_out: dict[str, Fitted]) -> RegimeFigures:
    """All results of one regime.

    Args:
        regime: the regime.
        settings: extent.
        left_out: what was fitted without it, by name.
    """
    counts = tuple(count for count in settings.counts if count <= regime.tests.max()) or (1,)
    figures = RegimeFigures(regime, counts)
    rules = {name: selection_rule(name) for name in FIXED} | {"default": Calibrated()}
    rules |= {f"default, {name}": one.rule for name, one in left_out.items()}
    shape = (settings.orders, len(regime.recorded), len(counts))
    figures.accuracy = {name: np.zeros(shape) for name in rules}
    part = (min(settings.orders, settings.part_orders), *shape[1:])
    fitted = {"shipped": Fitted.shipped(), **left_out}
    of_picks = {name: one.of_picks for name, one in fitted.items()}
    figures.said = {name: np.zeros(part) for name in fitted if part[0]}
    for order in range(settings.orders):
        drawn = draw(regime, order, counts, SEED)
        batch = combine_batch([one.part for one in drawn])
        for position, one in enumerate(drawn):
            statistics = one.statistics.with_batch(batch)
            for name, rule in rules.items():
                figures.accuracy[name][order, position] = one.accuracy(rule, statistics)
        if order < part[0]:
            if settings.sizes:
                for name, of_batch in _by_batch(drawn, order).items():
                    figures.by_size.setdefault(name, np.zeros(part))[order] = of_batch
            for name, said in p_correct(drawn, counts, of_picks).items():
                figures.said[name][order] = said
        if order == 0 and part[0]:
            figures.quality = test_quality(drawn, {name: one.of_candidates for name, one in fitted.items()})
    if part[0]:
        figures.guarantees, figures.changes = judge_later(regime, part[0], counts, SEED)
    most = max(len(one.correct) for one in regime.recorded)
    for number in [number for number in CANDIDATES if settings.sizes and part[0] and number < most]:
        _judge_few_candidates(figures, number, part[0], of_picks)
    if settings.policy_orders:
        _judge_policies(figures, min(settings.orders, settings.policy_orders))
    return figures


def _by_batch(drawn: Sequence[DrawnTests], order: int) -> dict[str, NDArray[np.float64]]:
    """Accuracy of the default rule, float64 (problems, counts), by the problems of a calibration."""
    alone = [one.accuracy(Calibrated(), one.statistics.with_batch(None)) for one in drawn]
    batches = {f"batch of {size}": _in_batches(drawn, size, order) for size in BATCHES}
    return {ALONE: np.array(alone), **batches, RUNNING: _while_running(drawn)}


def _in_batches(drawn: Sequence[DrawnTests], size: int, order: int) -> NDArray[np.float64]:
    """Accuracy of the default rule where problems come in batches of a size, float64 (problems, counts)."""
    members = np.random.default_rng([SEED, order, size]).permutation(len(drawn))
    accuracy = np.zeros((len(drawn), len(drawn[0].votes_of)))
    for start in range(0, len(drawn), size):
        together = members[start : start + size]
        batch = combine_batch([drawn[position].part for position in together])
        for position in together.tolist():
            one = drawn[position]
            accuracy[position] = one.accuracy(Calibrated(), one.statistics.with_batch(batch))
    return accuracy


def _while_running(drawn: Sequence[DrawnTests]) -> NDArray[np.float64]:
    """Accuracy of the picks that a run makes as it is told one problem after the other, count by count.

    Returns:
        float64 (problems, counts).
    """
    batch = RunningBatch(len(drawn), lambda position, tests: drawn[position].evidence.first(tests))
    accuracy = np.zeros((len(drawn), len(drawn[0].votes_of)))
    for number in range(accuracy.shape[1]):
        for position, one in enumerate(drawn):
            told = {position: int(one.votes_of[number])}
            statistics = one.statistics.with_batch(batch.statistics(told))
            accuracy[position, number] = one.accuracy(Calibrated(), statistics)[number]
            batch.tell(told)
    return accuracy


def _judge_few_candidates(
    figures: RegimeFigures, number: int, orders: int, models: dict[str, LogisticModel]
) -> None:
    """Add accuracy with some random candidates of each problem; with the fewest, p_correct too."""
    rules = {name: selection_rule(name) for name in FIXED} | {"default": Calibrated()}
    accuracy = {name: np.zeros((orders, *figures.accuracy["default"].shape[1:])) for name in rules}
    for order in range(orders):
        drawn = draw(with_candidates(figures.regime, number, order), order, figures.counts, SEED)
        batch = combine_batch([one.part for one in drawn])
        for position, one in enumerate(drawn):
            statistics = one.statistics.with_batch(batch)
            for name, rule in rules.items():
                accuracy[name][order, position] = one.accuracy(rule, statistics)
        if number == min(CANDIDATES):
            for name, said in p_correct(drawn, figures.counts, models).items():
                figures.said_of_few.setdefault(name, np.zeros(accuracy["default"].shape))[order] = said
    best = max((name for name in rules if name != "default"), key=lambda name: float(accuracy[name].mean()))
    figures.by_size[f"{number} candidates"] = accuracy["default"]
    figures.by_size[f"{number} candidates, best fixed"] = accuracy[best]


def _judge_policies(figures: RegimeFigures, orders: int) -> None:
    """Add the accuracy of policies under the default rule and under those of the static reference."""
    regime, counts = figures.regime, figures.counts
    available = np.minimum(regime.tests, _MOST_TESTS * max(counts))
    names = {Calibrated.name: "default", **{name: name for name in STATIC}}
    curves: dict[str, list[list[LearningCurve]]] = {name: [] for name in names}
    for order in range(orders):
        drawn = random_permutations(regime.recorded, np.random.default_rng([SEED, order]))
        drawn = [one[:tests] for one, tests in zip(drawn, available, strict=True)]
        permuted = permute_tests(regime.recorded, drawn)
        for name in names:
            rule = selection_rule(name)
            curves[name].append(compute_learning_curves(regime.recorded, drawn, rule, permuted))
    most = int(available.max())
    steps = np.minimum(np.arange(most + 1), available[:, np.newaxis])
    for name, shown in names.items():
        of_orders = curves[name]
        accuracy = _on_grid([[curve.accuracy for curve in one] for one in of_orders], steps)
        estimates = [PickEstimates.of(one) for one in of_orders]
        gain_models = GainModelCache(lambda found=of_orders: found, name, SEED)
        for policy in POLICIES:
            key = f"{shown}+{policy}"
            figures.by_policy[key] = np.zeros((orders, len(available), len(counts)))
            granted = np.zeros((orders, len(available), len(counts)), np.int64)
            needs = policy_class(policy).needs
            if "curves" in needs and orders < 2:
                continue
            for order in range(orders):
                means = None
                if "curves" in needs:
                    means = np.delete(accuracy, order, axis=0).mean(axis=0)
                    means[np.arange(most + 1) > available[:, np.newaxis]] = np.nan
                context = PolicyContext(
                    len(available),
                    SEED + order,
                    available,
                    None,
                    gain_models.cross_fitted(None) if "gain_models" in needs else None,
                    means,
                )
                for number, count in enumerate(counts):
                    cap = int(np.minimum(count, available).sum())
                    made = create_policy(policy, context)
                    granted[order, :, number] = simulate(
                        made, cap, available, estimates[order], seed=SEED + order
                    )
            figures.by_policy[key] = np.take_along_axis(accuracy, granted, axis=2)
            figures.tests[key] = dict(zip(counts, granted.mean(axis=(0, 1)).tolist(), strict=True))


def _on_grid(
    curves: Sequence[Sequence[NDArray[np.float64]]], steps: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Curves of all orders and problems after every number of tests, the last value kept."""
    return np.array(
        [[curve[step] for curve, step in zip(of_order, steps, strict=True)] for of_order in curves]
    )


def gain(one: NDArray[np.float64], other: NDArray[np.float64]) -> list[Interval]:
    """Points between accuracies, float64 (orders, problems, counts), at each count and in the mean."""
    difference = 100 * (one - other)
    difference = np.concatenate([difference, difference.mean(axis=2, keepdims=True)], axis=2)
    return intervals(bootstrap_means(difference, SEED))


def as_json(every: Sequence[RegimeFigures]) -> dict[str, Any]:
    """The results by regime, for a program."""
    result = {}
    for one in every:
        accuracy = {name: values for name, values in one.accuracy.items() if "left out" not in name}
        result[one.regime.name] = {
            "accuracy": {
                name: {
                    str(count): round(100 * float(values[..., number].mean()), 2)
                    for number, count in enumerate(one.counts)
                }
                for name, values in (accuracy | one.by_policy).items()
            },
            "tests": {
                name: {str(count): round(mean, 3) for count, mean in by_count.items()}
                for name, by_count in (
                    {name: dict(zip(one.counts, _equal_tests(one), strict=True)) for name in accuracy}
                    | one.tests
                ).items()
            },
            **{name: _finite(value) for name, value in _confidence(one).items()},
        }
    return result


def _confidence(one: RegimeFigures) -> dict[str, float]:
    """Figures of p_correct of the default rule's picks, if judged; NaN where they are not defined."""
    if not one.said:
        return {}
    said = one.said["shipped"]
    right = one.accuracy["default"][: len(said)]
    return {
        "ece": calibration_error(said, right),
        "claimed": float(said.mean()),
        "true": float(right.mean()),
        "auroc": auroc(said, right),
        "brier": float(((said - right) ** 2).mean()),
        "base": float(((right - right.mean()) ** 2).mean()),
        "perfect ece": perfect_error(said),
        "ece at true level": calibration_error(at_true_level(said, right), right),
    }


def _finite(value: float) -> float | None:
    """The number to four digits; None, JSON's null, for one that is not defined."""
    return round(value, 4) if np.isfinite(value) else None


def _equal_tests(one: RegimeFigures) -> list[float]:
    return [float(np.minimum(count, one.regime.tests).mean()) for count in one.counts]


def main() -> int:
    """Run the benchmark."""
    from generalisation_tables import print_tables

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="*", type=Path, help="further runs, files of votes, or folders of them"
    )
    parser.add_argument(
        "--only", nargs="+", type=Path, metavar="FILE", help="judge just these, refit nothing"
    )
    parser.add_argument(
        "--family", action="append", default=[], metavar="A,B", help="names of regimes of one family"
    )
    parser.add_argument(
        "--judge", nargs="+", metavar="NAME", help="judge just these regimes, with all at hand to refit on"
    )
    parser.add_argument("--orders", type=int, default=24, help="random orders (default: %(default)s)")
    parser.add_argument(
        "--part-orders",
        type=int,
        default=6,
        help="orders for sizes and p_correct, 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--policy-orders",
        type=int,
        default=24,
        help="orders for allocation, 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--print-models",
        action="store_true",
        help="only print the shipped models, with those of p_correct fitted to these regimes",
    )
    parser.add_argument(
        "--made", action="store_true", help="judge regimes made from each with its labels in its place"
    )
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)), help="tests (default: %(default)s)")
    parser.add_argument(
        "--quick", action="store_true", help="2 orders, every third problem, no small sizes"
    )
    given = parser.parse_args()
    counts = tuple(map(int, given.counts.split(",")))
    settings = Settings(counts, given.orders, given.part_orders, given.policy_orders)
    if given.quick:
        settings = Settings(counts, 2, 2, min(2, given.policy_orders), sizes=False)
    paths = files_of(given.only or [EXAMPLES / "humaneval", EXAMPLES / "mbpp", *given.files])
    families = [one.split(",") for one in given.family]
    regimes = [read_regime(path, families) for path in paths]
    if given.quick:
        regimes = [Regime(one.name, one.family, one.recorded[::3]) for one in regimes]
    data = []
    if not given.only:
        data = [
            fit_data(one, settings.counts, SEED)
            for regime in regimes
            for one in ([regime] if given.quick else variants(regime))
        ]
    if given.print_models:
        _print_models(data)
        return 0
    if given.judge:
        regimes = _named(regimes, given.judge)
    if given.made:
        regimes = [made for regime in regimes for made in made_regimes(regime)]
    figures = []
    for regime in regimes:
        print(f"judging {regime.name} ...", file=sys.stderr, flush=True)
        figures.append(judge(regime, settings, _left_out(regime, data)))
    print_tables(figures)
    print(json.dumps(as_json(figures)))
    return 0


def _named(regimes: Sequence[Regime], names: Sequence[str]) -> list[Regime]:
    """The regimes of some names.

    Raises:
        SystemExit: no regime has one of the names.
    """
    known = {one.name: one for one in regimes}
    for name in names:
        if name not in known:
            raise SystemExit(f"--judge must name regimes, {', '.join(known)}, but got {name}")
    return [known[name] for name in names]


def _print_models(data: Sequence[FitData]) -> None:
    """Print ``rewards/confidence/default.json`` with models of picks and candidates fitted to the data."""
    shipped = default_models()
    by_target = {
        target: tuple(fitted_model(data, target, fold) for fold in range(CONFIDENCE_FOLDS))
        for target in (ConfidenceTarget.PICK, ConfidenceTarget.CANDIDATE)
    }
    models = {
        (target, family): by_target.get(target, folds) for (target, family), folds in shipped.models.items()
    }
    print(ConfidenceModels(shipped.source, models).as_json(), end="")


def _left_out(regime: Regime, data: Sequence[FitData]) -> dict[str, Fitted]:
    """Models fitted to other regimes, and to other families."""
    others = {
        "regime left out": [one for one in data if one.regime.name != regime.name],
        "family left out": [one for one in data if one.regime.family != regime.family],
    }
    return {name: Fitted.to(some) for name, some in others.items() if some}


if __name__ == "__main__":
    sys.exit(exit_code(main))

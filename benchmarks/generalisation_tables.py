"""Tables of benchmarks/generalisation.py, in Markdown."""

from collections.abc import Sequence

import numpy as np
from generalisation import (
    ALONE,
    BATCHES,
    CANDIDATES,
    FIXED,
    POLICIES,
    RUNNING,
    STATIC,
    RegimeFigures,
    gain,
)
from generalisation_confidence import DELTAS, at_true_level, auroc, calibration_error, perfect_error
from numpy.typing import NDArray

from testbudget.rewards.bootstrap import Interval


def print_tables(every: Sequence[RegimeFigures]) -> None:
    """Print all tables."""
    _print_rules(every)
    _print_left_out(every)
    _print_sizes(every)
    _print_policies(every)
    if every[0].said:
        _print_confidence(every)
        _print_few_confidence(every)
        _print_guarantees(every)
        _print_quality(every)
        _print_changes(every)


def _row(cells: Sequence[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def _head(title: str, cells: Sequence[str]) -> None:
    print(f"\n{title}\n")
    _row(cells)
    _row(["---"] * len(cells))


def _known(value: float, form: str) -> str:
    return "unknown" if np.isnan(value) else f"{value:{form}}"


def _points(interval: Interval) -> str:
    return f"{interval.value:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"


def _percents(accuracy: NDArray[np.float64]) -> str:
    return " / ".join(f"{100 * value:.1f}" for value in accuracy.mean(axis=(0, 1)))


def _print_rules(every: Sequence[RegimeFigures]) -> None:
    for one in every:
        counts = " / ".join(map(str, one.counts))
        problems = len(one.regime.recorded)
        _head(f"{one.regime.name}: {problems} problems, accuracy in %", ["rule", f"{counts} tests"])
        for name in (*FIXED, "default"):
            _row([name, _percents(one.accuracy[name])])
    _head(
        "The default rule less the best fixed rule of the regime, points",
        ["regime", "best fixed rule", "at each count", "mean", "best rule of each count"],
    )
    for one in every:
        best = one.best_fixed
        *by_count, mean = gain(one.accuracy["default"], one.accuracy[best])
        of_each = np.max([one.accuracy[name].mean(axis=(0, 1)) for name in FIXED], axis=0)
        over_each = 100 * (one.accuracy["default"].mean(axis=(0, 1)) - of_each)
        _row(
            [
                one.regime.name,
                best,
                ", ".join(
                    f"{count}: {_points(at)}" for count, at in zip(one.counts, by_count, strict=True)
                ),
                _points(mean),
                " / ".join(f"{value:+.1f}" for value in over_each),
            ]
        )
    cells = np.concatenate(
        [100 * (one.accuracy["default"] - one.accuracy[one.best_fixed]).mean(axis=(0, 1)) for one in every]
    )
    print(f"\nMean of {len(cells)} cells: {cells.mean():+.2f} points; lowest {cells.min():+.2f}.")


def _print_left_out(every: Sequence[RegimeFigures]) -> None:
    names = [name for name in every[0].accuracy if "left out" in name]
    if not names:
        return
    _head(
        "The same with weights fitted to other regimes, or to other families, alone; mean over counts",
        ["regime", "as shipped", *(name.removeprefix("default, ") for name in names)],
    )
    for one in every:
        best = one.accuracy[one.best_fixed]
        shown = [gain(one.accuracy[name], best)[-1] for name in ("default", *names) if name in one.accuracy]
        _row([one.regime.name, *map(_points, shown)])


def _print_sizes(every: Sequence[RegimeFigures]) -> None:
    if not any(one.by_size for one in every):
        return
    few = [f"{number} candidates" for number in CANDIDATES]
    batches = [ALONE, *(f"batch of {size}" for size in BATCHES), RUNNING]
    _head(
        "Few candidates: points over the best fixed rule, mean over counts. Small batches: accuracy in % "
        "at the last count, and with all problems",
        ["regime", *few, *batches, "all"],
    )
    for one in every:
        cells = []
        for name in few:
            known = name in one.by_size
            cells.append(
                _points(gain(one.by_size[name], one.by_size[f"{name}, best fixed"])[-1]) if known else ""
            )
        orders = 0
        for name in batches:
            orders = len(one.by_size[name])
            cells.append(f"{100 * one.by_size[name][..., -1].mean():.1f}")
        _row([one.regime.name, *cells, f"{100 * one.accuracy['default'][:orders, :, -1].mean():.1f}"])


def _print_policies(every: Sequence[RegimeFigures]) -> None:
    if not any(one.by_policy for one in every):
        return
    _head(
        "Allocation at equal mean tests: points over equal budgets with the default rule, and of both "
        "together over the static reference, at each count",
        ["regime", *(f"default+{policy} over equal budgets" for policy in POLICIES), "whole over static"],
    )
    for one in every:
        static = np.where(
            one.accuracy[STATIC[0]].mean(axis=(0, 1)) >= one.accuracy[STATIC[1]].mean(axis=(0, 1)),
            one.accuracy[STATIC[0]],
            one.accuracy[STATIC[1]],
        )
        whole = [one.by_policy[f"default+{policy}"] for policy in POLICIES]
        orders = len(whole[0])
        cells = [gain(policy, one.accuracy["default"][:orders]) for policy in whole]
        cells.append(gain(whole[0], static[:orders]))
        _row(
            [
                one.regime.name,
                *(
                    ", ".join(
                        f"{count}: {_points(at)}"
                        for count, at in zip((*one.counts, "mean"), cell, strict=True)
                    )
                    for cell in cells
                ),
            ]
        )


def _print_confidence(every: Sequence[RegimeFigures]) -> None:
    names = list(every[0].said)
    _head(
        "p_correct of the default rule's picks, all counts together, in % and as calibration error, Brier "
        "score and AUROC. *At the true level*: as shipped, moved to the share that is right; *perfect*: "
        "of a perfect forecast of as many problems",
        [
            "regime",
            "right",
            *(f"{name}: said, error" for name in names),
            "at the true level",
            "perfect",
            "Brier, base",
            "AUROC",
        ],
    )
    errors = {name: [] for name in names}
    for one in every:
        said = one.said["shipped"]
        right = one.accuracy["default"][: len(said)]
        for name in names:
            errors[name].append(calibration_error(one.said[name], right))
        _row(
            [
                one.regime.name,
                f"{100 * right.mean():.0f}",
                *(f"{100 * one.said[name].mean():.0f}, {errors[name][-1]:.3f}" for name in names),
                f"{calibration_error(at_true_level(said, right), right):.3f}",
                f"{perfect_error(said):.3f}",
                f"{((said - right) ** 2).mean():.3f}, {((right - right.mean()) ** 2).mean():.3f}",
                _known(auroc(said, right), ".3f"),
            ]
        )
    means = (f"{name} {np.mean(of_name):.3f}" for name, of_name in errors.items())
    print(f"\nMean calibration error: {', '.join(means)}.")


def _print_few_confidence(every: Sequence[RegimeFigures]) -> None:
    few = min(CANDIDATES)
    known = [one for one in every if one.said_of_few]
    if not known:
        return
    names = list(known[0].said_of_few)
    _head(
        f"The same with {few} candidates",
        ["regime", "right", *(f"{name}: said, error" for name in names), "perfect"],
    )
    for one in known:
        right = one.by_size[f"{few} candidates"]
        said = (
            f"{100 * of_name.mean():.0f}, {calibration_error(of_name, right):.3f}"
            for of_name in one.said_of_few.values()
        )
        perfect = perfect_error(one.said_of_few["shipped"])
        _row([one.regime.name, f"{100 * right.mean():.0f}", *said, f"{perfect:.3f}"])


def _print_guarantees(every: Sequence[RegimeFigures]) -> None:
    _head(
        "Bound on overtaking: in % of the picks at all counts, how many have one of at most delta, and of "
        "these how many differ in outputs from the pick of all tests",
        ["regime", "picks that change", *(f"delta {delta}: given, changed" for delta in DELTAS)],
    )
    for one in every:
        assert one.guarantees is not None
        known = ~np.isnan(one.guarantees.bounds)
        if not known.any():
            continue
        cells = []
        for delta in DELTAS:
            given, changed = one.guarantees.given(delta)
            cells.append(f"{100 * given:.1f}, " + ("none" if np.isnan(changed) else f"{100 * changed:.1f}"))
        _row([one.regime.name, f"{100 * one.guarantees.changed[known].mean():.1f}", *cells])


def _print_quality(every: Sequence[RegimeFigures]) -> None:
    names = list(every[0].said)
    _head(
        "Quality of single tests up to the last count: false acceptance and rejection rates in %, true "
        "and estimated without labels",
        ["regime", "true", *names],
    )
    for one in every:
        assert one.quality is not None
        true, estimated = one.quality
        rates = (true, *(estimated[name] for name in names if name in estimated))
        shown = (
            f"{_known(100 * of_one.false_acceptance_rate, '.0f')}, "
            f"{_known(100 * of_one.false_rejection_rate, '.0f')}"
            for of_one in rates
        )
        _row([one.regime.name, *shown])


def _print_changes(every: Sequence[RegimeFigures]) -> None:
    known = [one for one in every if one.changes is not None]
    if not known:
        return
    _head(
        "p_gain and p_harm of picks after five tests, against all tests: in %, said and seen, and AUROC",
        ["regime", "gain: said, seen", "AUROC", "harm: said, seen", "AUROC"],
    )
    for one in known:
        assert one.changes is not None
        cells = []
        for of_one in (one.changes.gain, one.changes.harm):
            cells.append(f"{100 * of_one.said.mean():.0f}, {100 * of_one.right.mean():.0f}")
            cells.append(_known(auroc(of_one.said, of_one.right), ".2f"))
        _row([one.regime.name, *cells])

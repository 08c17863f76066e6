"""Tables of benchmarks/generalisation.py, in Markdown."""

from collections.abc import Sequence

import numpy as np
from generalisation import (
    BATCHES,
    CANDIDATES,
    FIXED,
    POLICIES,
    STATIC,
    RegimeFigures,
    auroc,
    calibration_error,
    gain,
    perfect_error,
)
from numpy.typing import NDArray

from testbudget.rewards.bootstrap import Interval


def print_tables(every: Sequence[RegimeFigures]) -> None:
    """Print all tables."""
    _print_rules(every)
    _print_left_out(every)
    _print_sizes(every)
    _print_policies(every)
    _print_confidence(every)


def _row(cells: Sequence[str]) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


def _head(title: str, cells: Sequence[str]) -> None:
    print(f"\n{title}\n")
    _row(cells)
    _row(["---"] * len(cells))


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
    batches = [f"batch of {size}" for size in BATCHES]
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
        "score and AUROC. *Perfect* is the calibration error of a perfect forecast of as many problems",
        [
            "regime",
            "right",
            *(f"{name}: said, error" for name in names),
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
                f"{perfect_error(said):.3f}",
                f"{((said - right) ** 2).mean():.3f}, {((right - right.mean()) ** 2).mean():.3f}",
                f"{auroc(said, right):.3f}",
            ]
        )
    means = (f"{name} {np.mean(of_name):.3f}" for name, of_name in errors.items())
    print(f"\nMean calibration error: {', '.join(means)}.")

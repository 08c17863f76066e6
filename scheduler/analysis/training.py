"""What training came to, as a table on the terminal and as a page with plots."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from difficulty.scores import Estimate, Scores
from difficulty.targets import TARGETS
from difficulty.training import Judged
from scheduler.analysis import plots
from scheduler.analysis.pages import write_page
from scheduler.training import Training

_HEADINGS = {
    "spearman": "Spearman",
    "auroc": "AUROC",
    "brier": "Brier",
    "calibration_error": "calibration error",
}
WIDTH = 116
"""Characters that a line of the printed tables needs."""

_BINS = 10
_NORMAL_95 = 1.96  # standard errors on either side

ByMethod = Mapping[str, Judged]


@dataclass(frozen=True, slots=True)
class Section:
    """Predictions of one set of problems.

    Attributes:
        title: which problems, and by what they were predicted.
        judged: by target, then by method.
    """

    title: str
    judged: Mapping[str, ByMethod]


def sections(training: Training, held_out: Mapping[str, Mapping[str, ByMethod]]) -> list[Section]:
    """All that there is to show: of the training problems, and of the runs that were only tested on."""
    runs = ", ".join(f"{run.run} ({run.problems} problems)" for run in training.problems.runs)
    own = {
        target: {method: lesson.judged for method, lesson in by_method.items()}
        for target, by_method in training.lessons.items()
    }
    return [
        Section(f"{runs}, each problem by what was learned without its fold", own),
        *(Section(f"{name}, by what was learned on {runs}", judged) for name, judged in held_out.items()),
    ]


def rows(by_method: ByMethod) -> list[list[str]]:
    """Each method's figures with their 95 % intervals."""
    return [
        [method, *(_with_interval(getattr(judged.scores, figure.name)) for figure in fields(Scores))]
        for method, judged in by_method.items()
    ]


def print_training(shown: Sequence[Section], console: Console) -> None:
    """Prints a table for each section."""
    for section in shown:
        console.print(section.title, style="bold", highlight=False, soft_wrap=True)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("", *_HEADINGS.values()):
            table.add_column(heading, no_wrap=True)
        for target, by_method in section.judged.items():
            table.add_row(_heading(target, by_method), style="bold")
            for row in rows(by_method):
                table.add_row(*row)
        console.print(table)
        console.print()


def write_training(training: Training, shown: Sequence[Section], path: Path) -> None:
    """Writes tables and plots of all sections as one HTML page."""
    method = training.settings.method
    write_page(
        "training.html.j2",
        path,
        method=method,
        headings=_HEADINGS,
        sections=[
            {
                "title": section.title,
                "targets": [
                    {
                        "target": TARGETS[target],
                        "heading": _heading(target, by_method),
                        "rows": rows(by_method),
                        "svgs": _plots(by_method[method]),
                    }
                    for target, by_method in section.judged.items()
                ],
            }
            for section in shown
        ],
    )


def bins(judged: Judged) -> list[plots.Bin]:
    """Problems in bins of equal size by prediction, as ``plots.reliability`` draws them.

    The interval is the mean of the measured values, give or take 1.96 standard errors over problems.
    """
    order = np.argsort(judged.predicted.mean, kind="stable")
    drawn = []
    for part in np.array_split(order, min(_BINS, len(order))):
        values = judged.labels.values[part]
        mean = float(values.mean())
        error = float(values.std(ddof=1) / math.sqrt(len(part))) if len(part) > 1 else 0.0
        drawn.append(
            plots.Bin(
                float(judged.predicted.mean[part].mean()),
                mean,
                mean - _NORMAL_95 * error,
                mean + _NORMAL_95 * error,
                len(part),
            )
        )
    return drawn


def _heading(target: str, by_method: ByMethod) -> str:
    problems = len(next(iter(by_method.values())).labels.values)
    return f"{target} ({problems})"


def _plots(judged: Judged) -> list[str]:
    target = judged.labels.target
    limits = (-1.0, 1.0) if target.signed else (0.0, 1.0)
    quantity = target.name.replace("_", " ")
    return [
        plots.as_svg(
            plots.scatter(judged.predicted.mean, judged.labels.values, quantity=quantity, limits=limits)
        ),
        plots.as_svg(plots.reliability(bins(judged), quantity=quantity, limits=limits)),
    ]


def _with_interval(figure: Estimate) -> str:
    if math.isnan(figure.value):
        return "–"
    return f"{figure.value:.3f} ({figure.low:.3f}, {figure.high:.3f})"

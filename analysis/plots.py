"""Plots for pages, in one house style: Matplotlib figures as inline SVG that follows the page's colours."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter, ScalarFormatter
from numpy.typing import NDArray

COLOURS = (
    *("#4a90d9", "#d9694a", "#3f9e6e", "#9a6fd0", "#c99a2e", "#d0609a", "#5aa9b0"),
    *("#8a8f3c", "#7a86a8", "#a8746a"),
)

# Matplotlib has no name for the colour of the text around a picture, so one that nobody would choose stands
# for it until the picture is text.
_INK = "#010203"

# Of type Any, for Matplotlib knows the names of all settings as one literal type.
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.frameon": False,
    "axes.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.alpha": 0.15,
    "grid.color": _INK,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "testbudget",  # the same picture is the same text
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot with its interval.

    Attributes:
        name: for the legend.
        x, y, low, high: of equal length.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Problems that were predicted alike.

    Attributes:
        predicted: mean prediction.
        measured: what came true, with its interval from low to high.
        problems: how many.
    """

    predicted: float
    measured: float
    low: float
    high: float
    problems: int


def as_svg(figure: Figure) -> str:
    """The picture as an ``<svg>`` element to put into a page; a figure made again is the same text."""
    file = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")


def by_tests(series: Sequence[Series], *, measure: str, levels: Sequence[tuple[str, float]] = ()) -> Figure:
    """Shares against tests per problem, one line each, over a logarithmic axis with the caps as its ticks.

    Args:
        series: x is tests per problem, above 0; the others are shares.
        measure: what the shares are of.
        levels: names and heights of horizontal lines.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.8, 4.2))  # inches
        axes = _axes(figure.add_subplot())
        for one in series:
            (drawn,) = axes.plot(one.x, one.y, marker="o", markersize=3.5, linewidth=1.6, label=one.name)
            axes.fill_between(one.x, one.low, one.high, color=drawn.get_color(), alpha=0.12, linewidth=0)
        for name, height in levels:
            axes.axhline(height, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6)
            axes.annotate(
                name, (1, height), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=9
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sorted({x for one in series for x in one.x})))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("tests per problem")
        axes.set_ylabel(measure)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def by_quintiles(
    fifths: Sequence[str],
    tests: Sequence[tuple[str, Sequence[float]]],
    gains: Sequence[tuple[str, Sequence[float]]],
    *,
    title: str,
) -> Figure:
    """Bars of what each fifth of the problems got, beside bars of what came of it.

    Args:
        fifths: what to call them.
        tests: tests per problem of each fifth, by name of a line.
        gains: shares that each fifth gained, by the same names.
        title: of both.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 3.6))  # inches
        for place, (bars, measure) in enumerate(((tests, "tests per problem"), (gains, "gain")), start=1):
            axes = _axes(figure.add_subplot(1, 2, place))
            width = 0.8 / len(bars)
            for number, (name, heights) in enumerate(bars):
                lefts = np.arange(len(fifths)) + (number - len(bars) / 2) * width
                axes.bar(lefts, heights, width, align="edge", label=name)
            axes.set_xticks(range(len(fifths)), fifths)
            axes.set_xlabel("fifths of the problems by pass rate")
            axes.set_ylabel(measure)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        figure.suptitle(title, fontsize=10)
    return figure


def scatter(
    predicted: NDArray[np.float64],
    measured: NDArray[np.float64],
    *,
    quantity: str,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Predicted against measured, one dot a problem, with the line on which they are equal.

    Args:
        predicted, measured: shape (problems,).
        quantity: what they are of.
        limits: between which the quantity lies.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.8, 3.8))
        axes = _square(figure, quantity, limits)
        axes.scatter(predicted, measured, s=14, alpha=0.5, linewidths=0)
    return figure


def reliability(
    bins: Sequence[ReliabilityBin], *, quantity: str, limits: tuple[float, float] = (0.0, 1.0)
) -> Figure:
    """What came true of what was predicted, bin by bin; a calibrated predictor keeps to the diagonal.

    Args:
        bins: a dot each, its area by the number of problems.
        quantity: what was predicted.
        limits: between which the quantity lies.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.8, 3.8))
        axes = _square(figure, quantity, limits)
        x, y = [one.predicted for one in bins], [one.measured for one in bins]
        axes.vlines(
            x, [one.low for one in bins], [one.high for one in bins], color=COLOURS[0], linewidth=1.2
        )
        sizes = np.asarray([one.problems for one in bins], np.float64)
        axes.scatter(x, y, s=90 * sizes / max(sizes.max(initial=0.0), 1.0), color=COLOURS[0], zorder=3)
    return figure


def _axes(axes: Axes) -> Axes:
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    return axes


def _square(figure: Figure, quantity: str, limits: tuple[float, float]) -> Axes:
    axes = _axes(figure.add_subplot())
    axes.axline((limits[0], limits[0]), slope=1, color=_INK, linewidth=0.8, alpha=0.6)
    margin = 0.03 * (limits[1] - limits[0])
    axes.set(
        xlim=(limits[0] - margin, limits[1] + margin),
        ylim=(limits[0] - margin, limits[1] + margin),
        aspect="equal",
        xlabel=f"predicted {quantity}",
        ylabel=f"measured {quantity}",
    )
    return axes

"""Plots for pages in one style: Matplotlib figures as inline SVG that follows the page's colours.

Matplotlib is imported by the first plot.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import require_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (
    *("#4a90d9", "#d9694a", "#3f9e6e", "#9a6fd0", "#c99a2e", "#d0609a", "#5aa9b0"),
    *("#8a8f3c", "#7a86a8", "#a8746a"),
)

# Placeholder for the colour of the page's text, which Matplotlib cannot name. No plot uses it otherwise;
# ``as_svg`` replaces it by ``currentColor``.
_TEXT_COLOUR = "#010203"

# Any: Matplotlib types the names of all settings as one literal type.
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": _TEXT_COLOUR,
    "axes.labelcolor": _TEXT_COLOUR,
    "axes.prop_cycle": f"cycler(color={list(_COLOURS)})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.frameon": False,
    "axes.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.alpha": 0.15,
    "grid.color": _TEXT_COLOUR,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "testbudget",  # the same picture is the same text
    "text.color": _TEXT_COLOUR,
    "xtick.color": _TEXT_COLOUR,
    "ytick.color": _TEXT_COLOUR,
}


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot with its interval.

    Attributes:
        name: text of the legend.
        x: positions.
        y: values, one for each position.
        low: lower ends of their intervals.
        high: upper ends of their intervals.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Problems with similar predictions.

    Attributes:
        predicted: mean prediction.
        measured: mean measured value.
        low: lower end of the interval of ``measured``.
        high: upper end of the interval of ``measured``.
        problems: number of problems.
    """

    predicted: float
    measured: float
    low: float
    high: float
    problems: int


def as_svg(figure: "Figure") -> str:
    """A plot as an ``<svg>`` element for a page. Equal plots give equal text."""
    file = io.StringIO()
    with _matplotlib().rc_context(_STYLE):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = file.getvalue()
    return text[text.index("<svg") :].replace(_TEXT_COLOUR, "currentColor")


def by_tests(
    series: Sequence[Series], *, measure: str, levels: Sequence[tuple[str, float]] = ()
) -> "Figure":
    """Plot shares against tests per problem on a logarithmic axis with a tick at each cap.

    Args:
        series: x is tests per problem, above 0; the others are shares.
        measure: label of the vertical axis.
        levels: name and height of each horizontal line.
    """
    mpl = _matplotlib()
    with mpl.rc_context(_STYLE):
        figure: Figure = mpl.figure.Figure(figsize=(7.8, 4.2))  # inches
        axes = _axes(figure.add_subplot())
        for one in series:
            (drawn,) = axes.plot(one.x, one.y, marker="o", markersize=3.5, linewidth=1.6, label=one.name)
            axes.fill_between(one.x, one.low, one.high, color=drawn.get_color(), alpha=0.12, linewidth=0)
        for name, height in levels:
            axes.axhline(height, color=_TEXT_COLOUR, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.6)
            axes.annotate(
                name, (1, height), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=9
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(mpl.ticker.FixedLocator(sorted({x for one in series for x in one.x})))
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
        axes.set_xlabel("tests per problem")
        axes.set_ylabel(measure)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def by_quintiles(
    quintiles: Sequence[str],
    tests: Sequence[tuple[str, Sequence[float]]],
    gains: Sequence[tuple[str, Sequence[float]]],
    *,
    title: str,
) -> "Figure":
    """Plot tests per problem by quintile as bars, beside gains.

    Args:
        quintiles: names of the quintiles.
        tests: name of each allocation, with its tests per problem by quintile.
        gains: the same names, with gains in accuracy by quintile, as shares.
        title: title of both plots.
    """
    mpl = _matplotlib()
    with mpl.rc_context(_STYLE):
        figure: Figure = mpl.figure.Figure(figsize=(9.6, 3.6))  # inches
        for place, (bars, measure) in enumerate(((tests, "tests per problem"), (gains, "gain")), start=1):
            axes = _axes(figure.add_subplot(1, 2, place))
            width = 0.8 / len(bars)
            for number, (name, heights) in enumerate(bars):
                lefts = np.arange(len(quintiles)) + (number - len(bars) / 2) * width
                axes.bar(lefts, heights, width, align="edge", label=name)
            axes.set_xticks(range(len(quintiles)), quintiles)
            axes.set_xlabel("quintiles of the problems by pass rate")
            axes.set_ylabel(measure)
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        figure.suptitle(title, fontsize=10)
    return figure


def scatter(
    predicted: NDArray[np.float64],
    measured: NDArray[np.float64],
    *,
    quantity: str,
    limits: tuple[float, float] = (0.0, 1.0),
) -> "Figure":
    """Plot measured against predicted values with one dot for each problem, and the diagonal.

    Args:
        predicted: float64 (problems,).
        measured: float64 (problems,).
        quantity: name of the predicted quantity.
        limits: range of the quantity.
    """
    with _matplotlib().rc_context(_STYLE):
        figure, axes = _square(quantity, limits)
        axes.scatter(predicted, measured, s=14, alpha=0.5, linewidths=0)
    return figure


def reliability(
    bins: Sequence[ReliabilityBin], *, quantity: str, limits: tuple[float, float] = (0.0, 1.0)
) -> "Figure":
    """Plot measured against predicted means of bins. A calibrated predictor has its dots on the diagonal.

    Args:
        bins: bins; the area of a dot is proportional to the number of problems.
        quantity: name of the predicted quantity.
        limits: range of the quantity.
    """
    with _matplotlib().rc_context(_STYLE):
        figure, axes = _square(quantity, limits)
        x, y = [one.predicted for one in bins], [one.measured for one in bins]
        axes.vlines(
            x, [one.low for one in bins], [one.high for one in bins], color=_COLOURS[0], linewidth=1.2
        )
        sizes = np.asarray([one.problems for one in bins], np.float64)
        axes.scatter(x, y, s=90 * sizes / max(sizes.max(initial=0.0), 1.0), color=_COLOURS[0], zorder=3)
    return figure


def _matplotlib() -> ModuleType:
    with require_extra("report", "drawing plots"):
        import matplotlib.figure
        import matplotlib.ticker
    return matplotlib


def _axes(axes: "Axes") -> "Axes":
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    return axes


def _square(quantity: str, limits: tuple[float, float]) -> "tuple[Figure, Axes]":
    """Empty plot of measured against predicted values with the diagonal."""
    figure: Figure = _matplotlib().figure.Figure(figsize=(3.8, 3.8))  # inches
    axes = _axes(figure.add_subplot())
    axes.axline((limits[0], limits[0]), slope=1, color=_TEXT_COLOUR, linewidth=0.8, alpha=0.6)
    margin = 0.03 * (limits[1] - limits[0])
    axes.set(
        xlim=(limits[0] - margin, limits[1] + margin),
        ylim=(limits[0] - margin, limits[1] + margin),
        aspect="equal",
        xlabel=f"predicted {quantity}",
        ylabel=f"measured {quantity}",
    )
    return figure, axes

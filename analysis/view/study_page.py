"""The page of a comparison, a study or a training: text, tables and charts, one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbudget.analysis.tables import Table, json_record
from testbudget.analysis.view.page import write_page
from testbudget.analysis.view.run_index import FORMAT

Block = Mapping[str, Any]
"""One part of a page as plain JSON; made by the functions of this module."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart with its interval.

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


def text_block(text: str) -> Block:
    """A paragraph."""
    return {"type": "text", "text": text}


def heading_block(text: str) -> Block:
    """A heading of what follows."""
    return {"type": "heading", "text": text}


def table_block(table: Table, *, folded: bool = False) -> Block:
    """A table of text.

    Args:
        table: the table.
        folded: True shows its title alone until it is opened.
    """
    return {
        "type": "table",
        "title": table.title,
        "columns": list(table.columns),
        "rows": [list(row) for row in table.rows],
        "words": [position for position in range(len(table.columns)) if position in table.words],
        "headings": [position for position in range(len(table.rows)) if position in table.headings],
        "folded": folded,
    }


def lines_block(
    title: str,
    series: Sequence[Series],
    *,
    say: str = "",
    levels: Sequence[tuple[str, float]] = (),
    x: str = "tests per problem",
    signed: bool = False,
) -> Block:
    """Shares against a quantity on a logarithmic axis, with a tick at each position and bands of intervals.

    Args:
        title: the finding or the quantities.
        series: x is above 0; the others are shares.
        say: explanation below the title.
        levels: name and height of each horizontal line.
        x: label of the horizontal axis.
        signed: True for differences, which are told in points.
    """
    lines = [json_record(asdict(one)) for one in series]
    return {
        "type": "lines",
        "title": title,
        "say": say,
        "series": lines,
        "levels": [list(level) for level in levels],
        "x": x,
        "signed": signed,
    }


def bars_block(
    title: str,
    groups: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    *,
    say: str = "",
    percent: bool = False,
) -> Block:
    """Bars of several names in groups.

    Args:
        title: the quantity.
        groups: names of the groups.
        series: each name with its values by group.
        say: explanation below the title.
        percent: True for shares.
    """
    bars = [{"name": name, "y": json_record(list(values))} for name, values in series]
    return {
        "type": "bars",
        "title": title,
        "say": say,
        "groups": list(groups),
        "series": bars,
        "percent": percent,
    }


def predictions_block(
    title: str,
    predicted: Sequence[float],
    measured: Sequence[float],
    bins: Sequence[ReliabilityBin],
    *,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Block:
    """Measured against predicted values: a dot for each problem, and means of bins with their intervals.

    Args:
        title: name of the predicted quantity.
        predicted: by problem.
        measured: by problem.
        bins: a calibrated predictor has them on the diagonal.
        limits: range of the quantity.
    """
    return {
        "type": "predictions",
        "title": title,
        "predicted": [round(float(value), 4) for value in predicted],
        "measured": [round(float(value), 4) for value in measured],
        "bins": [json_record(asdict(one)) for one in bins],
        "limits": list(limits),
    }


def write_study_page(title: str, blocks: Sequence[Block], path: Path) -> None:
    """Write a page of blocks as one HTML file.

    Args:
        title: heading of the page.
        blocks: in order.
        path: file to write; its folder is made.

    Raises:
        OSError: the file cannot be written.
    """
    write_page({"v": FORMAT, "kind": "study", "title": title, "blocks": list(blocks)}, (), path)

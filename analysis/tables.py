"""Tables for the terminal and for pages, formats of figures, and records for files."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, Protocol

from rich import table as rich_table
from rich.console import Console
from rich.markup import escape

WIDTH = 120
"""Characters that a line of a printed table needs."""


class Bounds(Protocol):
    """A figure with its interval."""

    @property
    def value(self) -> float:
        """Estimate."""

    @property
    def low(self) -> float:
        """Lower end of the interval."""

    @property
    def high(self) -> float:
        """Upper end of the interval."""


@dataclass(frozen=True, slots=True)
class Table:
    """Table of text with named columns. ``table.html.j2`` shows it on a page.

    Attributes:
        title: title; may be empty.
        columns: names of the columns.
        rows: text; a row has a cell for each column, a heading row may have fewer.
        words: positions of the columns of words; they are aligned to the left.
        headings: positions of the heading rows; they are bold.
        ditto: True leaves out, on the terminal, a first cell that equals the one above it.
        wraps: True allows a narrow terminal to wrap cells.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Container[int] = frozenset()
    headings: Container[int] = frozenset()
    ditto: bool = False
    wraps: bool = False

    def print(self, console: Console) -> None:
        """Print the title, if there is one, and the table."""
        if self.title:
            console.print(f"\n[italic]{escape(self.title)}[/italic]", highlight=False)
        drawn = rich_table.Table(box=None, pad_edge=False, header_style="bold")
        for position, name in enumerate(self.columns):
            justify = "left" if position in self.words else "right"
            drawn.add_column(escape(name), justify=justify, no_wrap=not self.wraps)  # type: ignore[arg-type]
        above = None
        for number, row in enumerate(self.rows):
            first = "" if self.ditto and row[0] == above else row[0]
            drawn.add_row(
                *map(escape, (first, *row[1:])), style="bold" if number in self.headings else None
            )
            above = row[0]
        console.print(drawn, highlight=False)


def format_number(value: float, form: str) -> str:
    """A number by a format specification; ``unknown`` for NaN, ``never`` for infinity."""
    if math.isnan(value):
        return "unknown"
    return "never" if math.isinf(value) else format(value, form)


def format_percent(share: float | None, unit: str = "") -> str:
    """A share in percent with one decimal; a dash if it is None or NaN."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.1f}{unit}"


def format_interval(figure: Bounds, scale: float = 1, form: str = ".1f", brackets: str = "[]") -> str:
    """A figure times ``scale`` with its interval in brackets: ``84.1 [82.0, 86.2]``.

    If all three numbers are NaN, ``unknown``; if all three are infinite, ``never``.
    """
    value, low, high = (
        format_number(scale * part, form) for part in (figure.value, figure.low, figure.high)
    )
    if value == low == high and not math.isfinite(figure.value):
        return value
    return f"{value} {brackets[0]}{low}, {high}{brackets[1]}"


def format_plus_minus(figure: Bounds, scale: float = 1, form: str = ".1f") -> str:
    """A figure times ``scale`` with half the width of its interval: ``84.1 ±2.1``."""
    half = scale * (figure.high - figure.low) / 2
    return f"{format_number(scale * figure.value, form)} ±{half:.1f}"


def flat_record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a Parquet file.

    Args:
        fields: values by name. An interval becomes the columns ``NAME``, ``NAME_low`` and ``NAME_high``;
            another dataclass becomes ``NAME_FIELD`` for each of its fields, or ``FIELD`` if NAME is empty.
    """
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if hasattr(value, "low") and hasattr(value, "high"):
            flat |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
        elif is_dataclass(value) and not isinstance(value, type):
            prefix = f"{name}_" if name else ""
            flat |= {prefix + part: amount for part, amount in asdict(value).items()}
        else:
            flat[name] = value
    return flat


def json_record(value: Any) -> Any:
    """A value as plain JSON.

    An interval becomes ``{"value": x, "interval": [low, high]}``, another dataclass an object with its
    fields. A number that is NaN (unknown) or infinite (never reached) becomes null.
    """
    if hasattr(value, "low") and hasattr(value, "high"):
        return {
            "value": json_record(value.value),
            "interval": [json_record(value.low), json_record(value.high)],
        }
    if is_dataclass(value) and not isinstance(value, type):
        return json_record({name: getattr(value, name) for name in value.__dataclass_fields__})
    if isinstance(value, Mapping):
        return {str(name): json_record(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_record(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value

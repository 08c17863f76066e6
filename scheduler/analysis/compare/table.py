"""A comparison on the terminal, and as Parquet with all that is known."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scheduler.analysis.compare.comparison import Cell, Comparison
from scheduler.analysis.compare.sheets import Sheet, correlations, details, heading, summary
from scheduler.tables import write_table

WIDTH = 112
"""Characters that a line of the printed tables needs."""


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Prints which line is best and what it saves, then every line."""
    console.print(heading(comparison), highlight=False)
    if found := correlations(comparison):
        console.print(f"Rank correlation of beliefs with measured pass rates: {found}.", highlight=False)
    for note in comparison.notes:
        console.print(note, highlight=False)
    for sheet in (*summary(comparison), *details(comparison)):
        console.print(f"\n[italic]{escape(sheet.title)}[/italic]", highlight=False)
        console.print(_table(sheet), highlight=False)


def write_cells(comparison: Comparison, path: Path) -> None:
    """Writes every cell as a row of a Parquet file; shares are between 0 and 1, spending is per problem."""
    reference = dict(zip(comparison.caps, comparison.reference, strict=True))
    rows = [_row(cell, reference[cell.tests_per_problem]) for cell in comparison.cells]
    write_table(pa.Table.from_pylist(rows), path)


def _table(sheet: Sheet) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(sheet.columns):
        words = not name or 1 <= position <= sheet.words
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    before = None
    for row in sheet.rows:
        table.add_row("" if row[0] == before else row[0], *row[1:])
        before = row[0]
    return table


def _row(cell: Cell, reference: str) -> dict[str, Any]:
    figures = {
        "accuracy": cell.accuracy,
        "gain": cell.gain,
        "lead": cell.lead,
        "uniform_tests": cell.uniform_tests,
        "reference_tests": cell.reference_tests,
    }
    return {
        "tests_per_problem": float(cell.tests_per_problem),
        "selection": cell.line.selection,
        "policy": cell.line.policy,
        "predictor": cell.line.predictor,
        "rank_correlation": cell.line.correlation,
        "knows_truth": cell.line.knows_truth,
        "reference": reference,
        **{
            name + suffix: value
            for name, estimate in figures.items()
            for suffix, value in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high))
        },
        **asdict(cell.spent),
        **{f"needed_{name}": amount for name, amount in asdict(cell.needed).items()},
        **{
            f"fifths_{name}": [getattr(fifth, name) for fifth in cell.fifths]
            for name in ("pass_rate", "tests", "accuracy", "gain", "lead")
        },
    }

"""A comparison as tables: on the terminal, and as Parquet with all that is known."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from policies import Uniform
from scheduler.analysis.compare.comparison import Cell, Comparison
from scheduler.analysis.compare.statistics import Estimate
from scheduler.ledger import QUANTITIES
from scheduler.tables import write_table

RESULTS = ("tests", "policy", "predictor", "accuracy", "against uniform", "as uniform with", "tests ratio")
WIDTH = 104
"""Characters that a line of the printed tables needs."""

SPENDING = ("tests", "policy", "predictor", *(name.replace("_", " ") for name in QUANTITIES))


def results(comparison: Comparison) -> Iterator[list[str]]:
    """How good the picks are: one row of ``RESULTS`` for each cell, shares in percent."""
    for cell in comparison.cells:
        equal = cell.line.policy == Uniform.name
        yield [
            *_names(cell),
            _interval(cell.accuracy, 100),
            "" if equal else _interval(cell.gain, 100, "+"),
            "" if equal else _interval(cell.uniform_tests, 1),
            "" if equal else _number(cell.cost_ratio, ".2f"),
        ]


def spending(comparison: Comparison) -> Iterator[list[str]]:
    """What was spent: one row of ``SPENDING`` for each cell, per problem."""
    for cell in comparison.cells:
        amounts = asdict(cell.spent).items()
        yield [*_names(cell), *(_number(v, ",.2f" if "seconds" in name else ",.1f") for name, v in amounts)]


def heading(comparison: Comparison) -> str:
    """What was compared on what, and between which bounds accuracy lies."""
    any_candidate, right_one = 100 * comparison.pass_at_1, 100 * comparison.solvable
    return (
        f"{comparison.run}: {comparison.problems} problems, {comparison.settings.orders} orders of their "
        f"tests, selection {comparison.settings.selection}. A random candidate is right in "
        f"{any_candidate:.1f} % of cases, and {right_one:.1f} % of the problems have a right one."
    )


def correlations(comparison: Comparison) -> str:
    """How well the predictors rank the problems."""
    known = {line.predictor: line.correlation for line in comparison.lines if line.predictor}
    return ", ".join(f"{name} {value:.2f}" for name, value in known.items())


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Prints what came out, and what was spent on it."""
    console.print(heading(comparison), highlight=False)
    if found := correlations(comparison):
        console.print(f"Rank correlation of beliefs with measured pass rates: {found}.", highlight=False)
    for title, columns, rows in (
        ("Accuracy in % at a cap of so many tests per problem", RESULTS, results(comparison)),
        ("Spent per problem", SPENDING, spending(comparison)),
    ):
        table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for position, name in enumerate(columns):
            table.add_column(name, justify="left" if position in (1, 2) else "right", no_wrap=True)
        before = None
        for row in rows:
            if before not in (None, row[0]):
                table.add_section()
            table.add_row(*("" if row[0] == before else row[0], *row[1:]))
            before = row[0]
        console.print()
        console.print(table, highlight=False)


def write_cells(comparison: Comparison, path: Path) -> None:
    """Writes every cell as a row of a Parquet file; shares are between 0 and 1, spending is per problem."""
    write_table(pa.Table.from_pylist([_row(cell) for cell in comparison.cells]), path)


def _row(cell: Cell) -> dict[str, Any]:
    figures = {"accuracy": cell.accuracy, "gain": cell.gain, "uniform_tests": cell.uniform_tests}
    return {
        "tests_per_problem": float(cell.tests_per_problem),
        "policy": cell.line.policy,
        "predictor": cell.line.predictor,
        "rank_correlation": cell.line.correlation,
        **{
            name + suffix: value
            for name, estimate in figures.items()
            for suffix, value in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high))
        },
        "cost_ratio": cell.cost_ratio,
        **asdict(cell.spent),
        **{
            f"fifths_{name}": [getattr(fifth, name) for fifth in cell.fifths]
            for name in ("pass_rate", "tests", "accuracy", "gain")
        },
    }


def _names(cell: Cell) -> list[str]:
    return [f"{cell.tests_per_problem:g}", cell.line.policy, cell.line.predictor or ""]


def _interval(estimate: Estimate, scale: float, sign: str = "") -> str:
    value, low, high = (
        _number(scale * number, f"{sign}.1f") for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def _number(value: float, form: str) -> str:
    if math.isnan(value):
        return "unknown"
    return "never" if math.isinf(value) else format(value, form)

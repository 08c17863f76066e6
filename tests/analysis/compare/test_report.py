"""A comparison as tables, as a page, as Parquet and as JSON."""

import json
import math
import re

import pyarrow.parquet as pq
from rich.console import Console

from testbudget.analysis.compare.report import (
    comparison_records,
    print_comparison,
    write_comparison,
    write_grid,
)
from tests.pages import blocks_of, cells_of

FIGURES = ("accuracy", "vs_uniform", "vs_reference", "uniform_tests", "reference_tests")


def test_the_printed_tables_hold_accuracy_and_gains_of_every_combination(comparison):
    console = Console(width=140, record=True)
    print_comparison(comparison, console)
    printed = console.export_text()
    unsigned = printed.replace("+", "")
    assert "run: 15 problems, 4 permutations of their tests." in " ".join(printed.split())
    for cell in comparison.grid:
        uniform = cell.combination.policy == "uniform"
        figure = cell.accuracy if uniform else cell.vs_uniform
        assert f"{100 * figure.value:.1f} ±{50 * (figure.high - figure.low):.1f}" in unsigned
    for cap in comparison.caps:
        best = comparison.best(cap)
        assert re.search(
            rf"{cap:g} .* {best.combination.name} +{100 * best.accuracy.value:.1f} "
            rf"+\{100 * best.vs_reference.value:+.1f}",
            printed,
        )


def test_the_page_holds_the_plots_and_every_interval(comparison, tmp_path):
    page = tmp_path / "compare.html"
    write_comparison(comparison, page)
    rules = {combination.selection for combination in comparison.combinations}
    assert len(blocks_of(page, "lines")) == 1 + 2 * len(rules)
    assert len(blocks_of(page, "bars")) == 2
    shown = " ".join(cells_of(page))
    for cell in comparison.grid:
        assert f"{100 * cell.accuracy.value:.1f} [{100 * cell.accuracy.low:.1f}, " in shown


def test_the_grid_file_holds_every_cell(comparison, tmp_path):
    write_grid(comparison, tmp_path / "grid.parquet")
    rows = pq.read_table(tmp_path / "grid.parquet").to_pylist()
    assert len(rows) == len(comparison.grid)
    for row, cell in zip(rows, comparison.grid, strict=True):
        assert (row["selection"], row["policy"], row["predictor"]) == (
            cell.combination.selection,
            cell.combination.policy,
            cell.combination.predictor,
        )
        for name in FIGURES:
            figure = getattr(cell, name)
            assert [row[name], row[f"{name}_low"], row[f"{name}_high"]] == [
                figure.value,
                figure.low,
                figure.high,
            ]
        assert row["tests"] == cell.spent.tests
        assert row["quintiles_vs_uniform"] == [quintile.vs_uniform for quintile in cell.quintiles]


def test_records_are_json_and_hold_every_cell(comparison):
    record = json.loads(json.dumps(comparison_records(comparison), allow_nan=False))
    assert (record["run"], record["problems"], record["permutations"]) == ("run", 15, 4)
    assert len(record["grid"]) == len(comparison.grid)
    for row, cell in zip(record["grid"], comparison.grid, strict=True):
        assert row["tests_per_problem"] == cell.tests_per_problem
        assert row["spent"]["tests"] == cell.spent.tests
        for name in FIGURES:
            figure = getattr(cell, name)
            expected = [x if math.isfinite(x) else None for x in (figure.value, figure.low, figure.high)]
            assert [row[name]["value"], *row[name]["interval"]] == expected
    assert [one["selection"] for one in record["eliminations"]] == 3 * ["majority"] + 3 * ["consensus"]

"""Tables, the formats of figures, and records."""

import math
from dataclasses import dataclass

import pytest
from rich.console import Console

from testbudget.analysis.tables import (
    Table,
    flat_record,
    format_interval,
    format_number,
    format_percent,
    format_plus_minus,
    json_record,
)
from testbudget.rewards.bootstrap import Interval


@dataclass
class Spent:
    tests: int
    seconds: float


def lines(table: Table, width: int = 80) -> list[str]:
    console = Console(width=width, record=True)
    table.print(console)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_words_are_aligned_to_the_left_and_numbers_to_the_right():
    table = Table("Accuracy [%]", ("rule", "value"), [["soft", "1.0"], ["majority", "10.0"]], {0})
    assert lines(table) == ["", "Accuracy [%]", "rule      value", "soft        1.0", "majority   10.0"]


def test_brackets_in_a_cell_are_text_and_no_markup():
    assert lines(Table("", ("[run]",), [["x [never, b]"]], {0})) == ["[run]", "x [never, b]"]


def test_a_repeated_first_cell_is_left_out_with_ditto():
    rows = [["8", "a"], ["8", "b"], ["9", "b"]]
    assert lines(Table("", ("x", "y"), rows, ditto=True))[1:] == ["8  a", "   b", "9  b"]
    assert lines(Table("", ("x", "y"), rows))[1:] == ["8  a", "8  b", "9  b"]


def test_a_heading_row_may_be_short():
    rows = [["pass_rate (5)"], ["probe", "0.1"]]
    shown = lines(Table("", ("", "Brier"), rows, {0, 1}, headings={0}))
    assert shown[1:] == ["pass_rate (5)", "probe          0.1"]


def test_a_narrow_terminal_wraps_cells_only_in_a_table_that_wraps():
    rows = [["one two three four five", "1"]]
    assert len(lines(Table("", ("x", "y"), rows, {0}, wraps=True), width=14)) > 2
    assert len(lines(Table("", ("x", "y"), rows, {0}), width=14)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (format_number(math.nan, ".1f"), "unknown"),
        (format_number(math.inf, ".1f"), "never"),
        (format_number(2.04, "+.1f"), "+2.0"),
        (format_percent(0.8412), "84.1"),
        (format_percent(0.8412, " %"), "84.1 %"),
        (format_percent(None, " %"), "–"),
        (format_percent(math.nan), "–"),
        (format_interval(Interval(0.5, 0.25, 0.75), 100), "50.0 [25.0, 75.0]"),
        (format_interval(Interval(0.5, 0.25, math.inf), form=".3f", brackets="()"), "0.500 (0.250, never)"),
        (format_interval(Interval(math.inf, math.inf, math.inf)), "never"),
        (format_plus_minus(Interval(0.5, 0.25, 0.75), 100, "+.1f"), "+50.0 ±25.0"),
    ],
)
def test_formats(text, expected):
    assert text == expected


def test_a_flat_record_has_a_column_for_each_bound_and_field():
    record = flat_record(
        {"a": Interval(1.0, 0.5, 2.0), "": Spent(3, 0.5), "needed": Spent(4, 1.5), "b": "x"}
    )
    assert record == {
        **{"a": 1.0, "a_low": 0.5, "a_high": 2.0},
        **{"tests": 3, "seconds": 0.5, "needed_tests": 4, "needed_seconds": 1.5, "b": "x"},
    }


def test_a_json_record_has_null_for_numbers_that_are_not_finite():
    record = json_record(
        {"a": Interval(1.0, math.nan, math.inf), "b": [Spent(3, math.nan)], "c": ("x", True)}
    )
    assert record == {
        "a": {"value": 1.0, "interval": [None, None]},
        "b": [{"tests": 3, "seconds": None}],
        "c": ["x", True],
    }

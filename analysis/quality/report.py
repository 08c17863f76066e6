"""Quality of the tests of runs, on the terminal and as JSON."""

from typing import Any

from rich.console import Console

from testbudget.analysis.quality.comparison import QualityComparison, QualityFigure
from testbudget.analysis.tables import Table, format_interval, json_record
from testbudget.rewards.bootstrap import Interval

_IN_UNITS = {"fidelity": (1.0, ".2f"), "tests per problem": (1.0, ",.1f"), "tokens per test": (1.0, ",.0f")}
_PERCENT = (100.0, ".1f")


def quality_table(comparison: QualityComparison) -> Table:
    """Table with a row for each figure; rates in percent, with 95 % intervals over problems."""
    two = len(comparison.runs) > 1
    columns = ("", "", "problems", *comparison.runs, *(["difference"] if two else []))
    rows = [
        [
            figure.group,
            figure.name,
            str(figure.problems),
            *(_cell(figure, value) for value in figure.values),
            *([_cell(figure, figure.difference)] if figure.difference else []),
        ]
        for figure in comparison.figures
    ]
    return Table("", columns, rows, frozenset({0, 1}), ditto=True, wraps=True)


def print_quality(comparison: QualityComparison, console: Console) -> None:
    """Print the table, and what it is of."""
    quality_table(comparison).print(console)
    left_out = (
        f"; {comparison.left_out} more were trained on and are left out" if comparison.left_out else ""
    )
    console.print(
        f"{comparison.problems} labelled problems{left_out}; rates in percent, brackets are 95 % intervals "
        "over problems, differences are paired",
        highlight=False,
        soft_wrap=True,
    )


def quality_record(comparison: QualityComparison) -> dict[str, Any]:
    """Figures as plain JSON.

    Returns:
        An object with these keys:

        - ``runs``: names; ``problems``, ``left_out``: numbers
        - ``figures``: for each figure ``group``, ``name``, ``problems``, ``values`` (an interval for each
          run) and ``difference`` (an interval, or null for one run)
    """
    record: dict[str, Any] = json_record(comparison)
    return record


def _cell(figure: QualityFigure, value: Interval) -> str:
    scale, form = _IN_UNITS.get(figure.name, _PERCENT)
    return format_interval(value, scale, form)

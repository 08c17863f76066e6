"""A comparison as one HTML page, with plots."""

from collections.abc import Callable
from pathlib import Path

from scheduler.analysis.compare.comparison import Cell, Comparison
from scheduler.analysis.compare.statistics import Estimate
from scheduler.analysis.compare.table import RESULTS, SPENDING, correlations, heading, results, spending
from scheduler.analysis.pages import write_page
from scheduler.analysis.plots import Series, as_svg, by_tests


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Writes plots and tables of a comparison."""
    bounds = [
        ("a right candidate exists", comparison.solvable),
        ("a random candidate", comparison.pass_at_1),
    ]
    accuracy = by_tests(_series(comparison, lambda cell: cell.accuracy), measure="accuracy", levels=bounds)
    gain = by_tests(_series(comparison, lambda cell: cell.gain), measure="gain over equal budgets")
    write_page(
        "compare.html.j2",
        path,
        comparison=comparison,
        heading=heading(comparison),
        correlations=correlations(comparison),
        plots=[as_svg(accuracy), as_svg(gain)],
        tables=[
            ("Accuracy in %", RESULTS, list(results(comparison))),
            ("Spent per problem", SPENDING, list(spending(comparison))),
        ],
    )


def _series(comparison: Comparison, measure: Callable[[Cell], Estimate]) -> list[Series]:
    found = []
    for line in comparison.lines:
        cells = comparison.along(line)
        estimates = [measure(cell) for cell in cells]
        found.append(
            Series(
                line.name,
                [cell.tests_per_problem for cell in cells],
                [one.value for one in estimates],
                [one.low for one in estimates],
                [one.high for one in estimates],
            )
        )
    return found

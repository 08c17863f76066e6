"""A comparison as one HTML page, with plots."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scheduler.analysis.compare.comparison import Cell, Comparison, Line
from scheduler.analysis.compare.sheets import correlations, details, everything, heading, summary
from scheduler.analysis.compare.statistics import Estimate
from scheduler.analysis.pages import write_page
from scheduler.analysis.plots import Series, as_svg, by_fifths, by_tests


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Writes plots and tables of a comparison."""
    write_page(
        "compare.html.j2",
        path,
        comparison=comparison,
        heading=heading(comparison),
        correlations=correlations(comparison),
        overview=_overview(comparison),
        plots=list(_by_rule(comparison)),
        fifths=_fifths(comparison),
        summary=list(summary(comparison)),
        details=list(details(comparison)),
        everything=list(everything(comparison)),
    )


def _overview(comparison: Comparison) -> str:
    """The static reference, the best line without an oracle, and what an oracle could do."""
    bounds = [
        ("a right candidate exists", comparison.solvable),
        ("a random candidate", comparison.pass_at_1),
    ]
    knowing = [line for line in comparison.lines if line.knows_truth and line.predictor in (None, "oracle")]
    drawn = [
        _series("static reference", [comparison.static(cap) for cap in comparison.caps], _accuracy),
        _series(
            "best line without an oracle", [comparison.best(cap) for cap in comparison.caps], _accuracy
        ),
    ]
    if knowing:
        ceilings = [
            max((cell for cell in comparison.at(cap) if cell.line in knowing), key=_value)
            for cap in comparison.caps
        ]
        drawn.append(_series("best line with an oracle", ceilings, _accuracy))
    return as_svg(by_tests(drawn, measure="accuracy", levels=bounds))


def _by_rule(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Each rule's accuracy, and the lead of its lines over the static reference."""
    for rule in dict.fromkeys(line.selection for line in comparison.lines):
        lines = [line for line in comparison.lines if line.selection == rule]
        accuracy = by_tests(_along(comparison, lines, _accuracy), measure="accuracy")
        lead = by_tests(_along(comparison, lines, _lead), measure="lead over the static reference")
        yield rule, [as_svg(accuracy), as_svg(lead)]


def _fifths(comparison: Comparison) -> str:
    """Who gets the tests and what comes of them, at the middle cap, with the rule that is best there."""
    cap = comparison.caps[len(comparison.caps) // 2]
    best = comparison.best(cap)
    cells = [cell for cell in comparison.at(cap) if cell.line.selection == best.line.selection]
    return as_svg(
        by_fifths(
            [f"{100 * fifth.pass_rate:.0f} %" for fifth in best.fifths],
            [(cell.line.allocation, [fifth.tests for fifth in cell.fifths]) for cell in cells],
            [(cell.line.allocation, [fifth.gain for fifth in cell.fifths]) for cell in cells],
            title=f"{best.line.selection}, {cap:g} tests per problem",
        )
    )


def _along(
    comparison: Comparison, lines: Sequence[Line], measure: Callable[[Cell], Estimate]
) -> list[Series]:
    return [_series(line.allocation, comparison.along(line), measure) for line in lines]


def _series(name: str, cells: Sequence[Cell], measure: Callable[[Cell], Estimate]) -> Series:
    estimates = [measure(cell) for cell in cells]
    return Series(
        name,
        [cell.tests_per_problem for cell in cells],
        [one.value for one in estimates],
        [one.low for one in estimates],
        [one.high for one in estimates],
    )


def _accuracy(cell: Cell) -> Estimate:
    return cell.accuracy


def _lead(cell: Cell) -> Estimate:
    return cell.lead


def _value(cell: Cell) -> float:
    return cell.accuracy.value

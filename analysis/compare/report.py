"""What a comparison states, as sheets of text: the same on the terminal and on the page."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from testbudget.analysis.compare.results import STATIC_RULES, Comparison, CurveResult, GridCell
from testbudget.analysis.plots import Series, as_svg, by_quintiles, by_tests
from testbudget.analysis.tables import Table, write_page
from testbudget.policies.registry import policy_class
from testbudget.policies.uniform import Uniform
from testbudget.rewards.statistics import Interval
from testbudget.traces.records import QUANTITIES
from testbudget.traces.tables import write_table

_QUANTITIES = tuple(name.replace("_", " ") for name in QUANTITIES)


def heading(comparison: Comparison) -> str:
    """What was compared on what, and between which bounds accuracy lies."""
    any_candidate, right_one = 100 * comparison.pass_at_1, 100 * comparison.solvable
    return (
        f"{comparison.run}: {comparison.problems} problems, {comparison.settings.orders} orders of their "
        f"tests. A random candidate is right in {any_candidate:.1f} % of cases, and {right_one:.1f} % of "
        "the problems have a right one. The static reference is equal budgets with "
        f"{' or '.join(STATIC_RULES)}, whichever is better."
    )


def correlations(comparison: Comparison) -> str:
    """How well the predictors rank the problems."""
    known = {line.predictor: line.correlation for line in comparison.lines if line.predictor}
    return ", ".join(f"{name} {value:.2f}" for name, value in known.items())


def summary(comparison: Comparison) -> Iterator[Table]:
    """Which line is best at which cap, what it saves, and what nobody can pass."""
    yield _best(comparison)
    yield _saved(comparison)
    yield _ceilings(comparison)


def details(comparison: Comparison) -> Iterator[Table]:
    """Every line by the side of its like."""
    for rule in dict.fromkeys(line.selection for line in comparison.lines):
        yield _gains(comparison, rule)
    yield _ratios(comparison)
    if any(race.raced < race.distinct for race in comparison.races):
        yield _races(comparison)
    yield _fifths(comparison)


def everything(comparison: Comparison) -> Iterator[Table]:
    """Every cell with its intervals, and with all that was spent."""
    names = ("tests", "selection", "policy", "predictor")
    yield Table(
        "Accuracy in %, against equal budgets with the same rule and against the static reference",
        (
            *names,
            "accuracy",
            "against uniform",
            "as uniform with",
            "tests ratio",
            "against reference",
            "as reference with",
        ),
        [[*_names(cell), *_results(cell)] for cell in comparison.cells],
        words=3,
    )
    yield Table(
        "Spent per problem",
        (*names, *_QUANTITIES),
        [[*_names(cell), *_amounts(cell)] for cell in comparison.cells],
        words=3,
    )
    yield Table(
        "Spent, as a share of what the static reference spends for the same accuracy",
        (*names, *_QUANTITIES),
        [[*_names(cell), *_shares(cell)] for cell in comparison.cells],
        words=3,
    )
    yield Table(
        "By fifths of the problems, from the hardest: tests, and points over uniform with the same rule",
        (*names, *_pass_rates(comparison)),
        [
            [*_names(cell), *(f"{f.tests:.1f}, {_number(100 * f.gain, '+.1f')}" for f in cell.fifths)]
            for cell in comparison.cells
        ],
        words=3,
    )


def _best(comparison: Comparison) -> Table:
    rows = []
    for cap in comparison.caps:
        best, static = comparison.best(cap), comparison.static(cap)
        rows.append(
            [
                f"{cap:g}",
                f"{100 * static.accuracy.value:.1f} {static.line.selection}",
                best.line.name,
                f"{100 * best.accuracy.value:.1f}",
                _interval(best.lead, 100, "+"),
                _interval(best.reference_tests, 1),
            ]
        )
    return Table(
        "The best line without an oracle: accuracy in %, and tests that the reference takes to be as good",
        ("tests", "reference", "best line", "accuracy", "lead", "as reference with"),
        rows,
        words=2,
    )


def _saved(comparison: Comparison) -> Table:
    rows = [[f"{cap:g}", *_shares(comparison.best(cap))] for cap in comparison.caps]
    return Table(
        "What the best line spends, for each unit that the reference spends to be as good",
        ("cap", *_QUANTITIES),
        rows,
    )


def _ceilings(comparison: Comparison) -> Table:
    rows = [
        ["static reference", *(_percent(comparison.static(cap)) for cap in comparison.caps)],
        ["best line without an oracle", *(_percent(comparison.best(cap)) for cap in comparison.caps)],
    ]
    knowing: dict[str, list[CurveResult]] = {}
    for line in comparison.lines:
        if policy_class(line.policy).uses_curves:
            knowing.setdefault(f"{line.policy}: each problem's own curve is known", []).append(line)
        elif line.predictor == "oracle":
            knowing.setdefault(f"{line.policy}: true pass rates are known", []).append(line)
    for name, lines in knowing.items():
        cells = [[cell for cell in comparison.at(cap) if cell.line in lines] for cap in comparison.caps]
        rows.append([name, *(_percent(max(found, key=_accuracy)) for found in cells)])
    solvable = f"{100 * comparison.solvable:.1f}"
    rows.append(["a right candidate exists", *(solvable for _ in comparison.caps)])
    columns = ("", *(f"{cap:g}" for cap in comparison.caps))
    return Table("Ceilings: accuracy in % by tests per problem, each with its best rule", columns, rows)


def _gains(comparison: Comparison, rule: str) -> Table:
    rows = []
    for line in comparison.lines:
        if line.selection != rule:
            continue
        equal = line.policy == Uniform.name
        estimates = [cell.accuracy if equal else cell.gain for cell in comparison.along(line)]
        features = "" if equal else "+"
        rows.append([line.allocation, *(_plus_minus(estimate, features) for estimate in estimates)])
    columns = ("", *(f"{cap:g}" for cap in comparison.caps))
    return Table(
        f"Selection {rule}: accuracy of equal budgets in %, and points that others gain over these (± half "
        "of the 95 % interval)",
        columns,
        rows,
    )


def _ratios(comparison: Comparison) -> Table:
    rows = [
        [line.name, *(_ratio(cell.spent.tests, cell.needed.tests) for cell in comparison.along(line))]
        for line in comparison.lines
    ]
    columns = ("", *(f"{cap:g}" for cap in comparison.caps))
    return Table("Tests for each test that the static reference needs for the same accuracy", columns, rows)


def _races(comparison: Comparison) -> Table:
    rows = [
        [
            f"{race.tests_per_problem:g}",
            race.selection,
            f"{race.pairs:,.0f}",
            f"{100 * race.distinct / race.pairs:.0f} %",
            f"{100 * race.raced / race.pairs:.0f} %",
            _interval(race.change, 100, "+"),
        ]
        for race in comparison.races
        if race.raced < race.distinct
    ]
    return Table(
        "Executions of equal budgets: all pairs, distinct programs, and with racing",
        ("tests", "selection", "pairs", "distinct", "raced", "points gained by racing"),
        rows,
        words=1,
    )


def _fifths(comparison: Comparison) -> Table:
    rows = []
    for cap in comparison.caps:
        best = comparison.best(cap)
        shown = (f"{fifth.tests:.1f}, {_number(100 * fifth.lead, '+.1f')}" for fifth in best.fifths)
        rows.append([f"{cap:g}", best.line.name, *shown])
    return Table(
        "The best line by fifths of the problems, from the hardest: tests, and points over the reference",
        ("tests", "best line", *_pass_rates(comparison)),
        rows,
        words=1,
    )


def _pass_rates(comparison: Comparison) -> list[str]:
    return [f"pass rate {100 * fifth.pass_rate:.0f} %" for fifth in comparison.cells[0].fifths]


def _names(cell: GridCell) -> list[str]:
    line = cell.line
    return [f"{cell.tests_per_problem:g}", line.selection, line.policy, line.predictor or ""]


def _results(cell: GridCell) -> list[str]:
    equal = cell.line.policy == Uniform.name
    return [
        _interval(cell.accuracy, 100),
        "" if equal else _interval(cell.gain, 100, "+"),
        "" if equal else _interval(cell.uniform_tests, 1),
        "" if equal else _ratio(cell.spent.tests, cell.uniform_tests.value),
        _interval(cell.lead, 100, "+"),
        _interval(cell.reference_tests, 1),
    ]


def _amounts(cell: GridCell) -> list[str]:
    forms = (",.2f" if "seconds" in name else ",.1f" for name in QUANTITIES)
    return [_number(amount, form) for amount, form in zip(astuple(cell.spent), forms, strict=True)]


def _shares(cell: GridCell) -> list[str]:
    return [_ratio(*pair) for pair in zip(astuple(cell.spent), astuple(cell.needed), strict=True)]


def _ratio(spent: float, needed: float) -> str:
    """``never``: the other never gets there, whatever it spends."""
    if math.isinf(needed):
        return "never"
    return _number(spent / needed, ".2f") if needed else "–"


def _plus_minus(estimate: Interval, sign: str) -> str:
    return f"{_number(100 * estimate.value, f'{sign}.1f')} ±{50 * (estimate.high - estimate.low):.1f}"


def _interval(estimate: Interval, scale: float, sign: str = "") -> str:
    value, low, high = (
        _number(scale * number, f"{sign}.1f") for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def _percent(cell: GridCell) -> str:
    return f"{100 * cell.accuracy.value:.1f}"


def _accuracy(cell: GridCell) -> float:
    return cell.accuracy.value


def _number(value: float, form: str) -> str:
    if math.isnan(value):
        return "unknown"
    return "never" if math.isinf(value) else format(value, form)


# ~ """A comparison on the terminal, and as Parquet with all that is known."""


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


def _table(sheet: Table) -> RichTable:
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(sheet.columns):
        words = not name or 1 <= position <= sheet.words
        table.add_column(name, justify="left" if words else "right", no_wrap=True)
    before = None
    for row in sheet.rows:
        table.add_row("" if row[0] == before else row[0], *row[1:])
        before = row[0]
    return table


def _row(cell: GridCell, reference: str) -> dict[str, Any]:
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


# ~ """A comparison as one HTML page, with plots."""


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
        fifths=_fifths_of_page(comparison),
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
        _series("static reference", [comparison.static(cap) for cap in comparison.caps], _accuracy_of_page),
        _series(
            "best line without an oracle",
            [comparison.best(cap) for cap in comparison.caps],
            _accuracy_of_page,
        ),
    ]
    if knowing:
        ceilings = [
            max((cell for cell in comparison.at(cap) if cell.line in knowing), key=_value)
            for cap in comparison.caps
        ]
        drawn.append(_series("best line with an oracle", ceilings, _accuracy_of_page))
    return as_svg(by_tests(drawn, measure="accuracy", levels=bounds))


def _by_rule(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Each rule's accuracy, and the lead of its lines over the static reference."""
    for rule in dict.fromkeys(line.selection for line in comparison.lines):
        lines = [line for line in comparison.lines if line.selection == rule]
        accuracy = by_tests(_along(comparison, lines, _accuracy_of_page), measure="accuracy")
        lead = by_tests(_along(comparison, lines, _lead), measure="lead over the static reference")
        yield rule, [as_svg(accuracy), as_svg(lead)]


def _fifths_of_page(comparison: Comparison) -> str:
    """Who gets the tests and what comes of them, at the middle cap, with the rule that is best there."""
    cap = comparison.caps[len(comparison.caps) // 2]
    best = comparison.best(cap)
    cells = [cell for cell in comparison.at(cap) if cell.line.selection == best.line.selection]
    return as_svg(
        by_quintiles(
            [f"{100 * fifth.pass_rate:.0f} %" for fifth in best.fifths],
            [(cell.line.allocation, [fifth.tests for fifth in cell.fifths]) for cell in cells],
            [(cell.line.allocation, [fifth.gain for fifth in cell.fifths]) for cell in cells],
            title=f"{best.line.selection}, {cap:g} tests per problem",
        )
    )


def _along(
    comparison: Comparison, lines: Sequence[CurveResult], measure: Callable[[GridCell], Interval]
) -> list[Series]:
    return [_series(line.allocation, comparison.along(line), measure) for line in lines]


def _series(name: str, cells: Sequence[GridCell], measure: Callable[[GridCell], Interval]) -> Series:
    estimates = [measure(cell) for cell in cells]
    return Series(
        name,
        [cell.tests_per_problem for cell in cells],
        [one.value for one in estimates],
        [one.low for one in estimates],
        [one.high for one in estimates],
    )


def _accuracy_of_page(cell: GridCell) -> Interval:
    return cell.accuracy


def _lead(cell: GridCell) -> Interval:
    return cell.lead


def _value(cell: GridCell) -> float:
    return cell.accuracy.value

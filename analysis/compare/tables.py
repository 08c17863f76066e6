"""Tables of a comparison, the same on the terminal and on the page."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple

from testbudget.analysis.compare.results import Combination, GridCell, PolicyComparison, most_accurate
from testbudget.analysis.tables import (
    Table,
    format_interval,
    format_number,
    format_percent,
    format_plus_minus,
)
from testbudget.policies.registry import policy_class
from testbudget.policies.uniform import Uniform
from testbudget.traces.records import QUANTITIES

_QUANTITIES = tuple(name.replace("_", " ") for name in QUANTITIES)
_SIGNED = "+.1f"


def summary_tables(comparison: PolicyComparison) -> Iterator[Table]:
    """The best combination at each cap, its savings, and upper bounds of accuracy."""
    yield _best(comparison)
    if comparison.smallest_caps:
        yield _smallest_caps(comparison)
    yield _saved(comparison)
    yield _upper_bounds(comparison)


def detail_tables(comparison: PolicyComparison) -> Iterator[Table]:
    """Gains of every combination by rule, tests relative to the reference, elimination, and quintiles."""
    for rule in rules(comparison):
        yield _gains(comparison, rule)
    yield _ratios(comparison)
    if any(one.survivors < one.distinct for one in comparison.eliminations):
        yield _eliminations(comparison)
    yield _quintiles(comparison)


def grid_tables(comparison: PolicyComparison) -> Iterator[Table]:
    """Every cell of the grid: its intervals, its cost in every quantity, and its quintiles."""
    names = ("tests", "selection", "policy", "predictor")
    yield _table(
        "Accuracy in %, compared with equal budgets with the same rule and with the static reference",
        (
            *names,
            "accuracy",
            "vs uniform",
            "as uniform with",
            "tests ratio",
            "vs reference",
            "as reference with",
        ),
        [[*_names(cell), *_figures(cell)] for cell in comparison.grid],
        words=3,
    )
    yield _table(
        "Spent per problem",
        (*names, *_QUANTITIES),
        [[*_names(cell), *_amounts(cell)] for cell in comparison.grid],
        words=3,
    )
    yield _table(
        "Spent, as a share of the static reference's spending for the same accuracy",
        (*names, *_QUANTITIES),
        [[*_names(cell), *_shares(cell)] for cell in comparison.grid],
        words=3,
    )
    yield _table(
        "By quintiles of the problems, from the hardest: tests, and points over uniform with the same rule",
        (*names, *_pass_rates(comparison)),
        [
            [
                *_names(cell),
                *(f"{q.tests:.1f}, {format_number(100 * q.vs_uniform, _SIGNED)}" for q in cell.quintiles),
            ]
            for cell in comparison.grid
        ],
        words=3,
    )


def rules(comparison: PolicyComparison) -> list[str]:
    """Names of the selection rules, in the order of the combinations."""
    return list(dict.fromkeys(combination.selection for combination in comparison.combinations))


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], words: int = 0) -> Table:
    """A table whose unnamed columns, and the first ``words`` after column 0, hold words."""
    aligned = {position for position, name in enumerate(columns) if not name or 1 <= position <= words}
    return Table(title, columns, rows, frozenset(aligned), ditto=True)


def _best(comparison: PolicyComparison) -> Table:
    rows = []
    for cap in comparison.caps:
        best, reference = comparison.best(cap), comparison.reference(cap)
        rows.append(
            [
                f"{cap:g}",
                f"{_accuracy(reference)} {reference.combination.selection}",
                best.combination.name,
                _accuracy(best),
                format_interval(best.vs_reference, 100, _SIGNED),
                format_interval(best.reference_tests),
            ]
        )
    return _table(
        "The best combination without an oracle: accuracy in %, and tests that the reference needs for the "
        "same accuracy",
        ("tests", "reference", "best combination", "accuracy", "vs reference", "as reference with"),
        rows,
        words=2,
    )


def _smallest_caps(comparison: PolicyComparison) -> Table:
    wanted = comparison.settings.wanted
    assert wanted is not None
    return _table(
        f"Tests per problem for {comparison.score} {100 * wanted:g} %, between the caps by straight lines",
        ("selection", "allocation", "tests"),
        [
            [
                one.combination.selection,
                one.combination.allocation,
                format_interval(one.tests_per_problem),
            ]
            for one in comparison.smallest_caps
        ],
        words=1,
    )


def _saved(comparison: PolicyComparison) -> Table:
    rows = [[f"{cap:g}", *_shares(comparison.best(cap))] for cap in comparison.caps]
    return _table(
        "Spending of the best combination for each unit that the reference needs for the same accuracy",
        ("cap", *_QUANTITIES),
        rows,
    )


def _upper_bounds(comparison: PolicyComparison) -> Table:
    rows = [
        ["static reference", *(_accuracy(comparison.reference(cap)) for cap in comparison.caps)],
        [
            "best combination without an oracle",
            *(_accuracy(comparison.best(cap)) for cap in comparison.caps),
        ],
    ]
    with_truth: dict[str, list[Combination]] = {}
    for combination in comparison.combinations:
        if "curves" in policy_class(combination.policy).needs:
            name = f"{combination.policy}: each problem's own curve is known"
            with_truth.setdefault(name, []).append(combination)
        elif combination.predictor == "oracle":
            name = f"{combination.policy}: true pass rates are known"
            with_truth.setdefault(name, []).append(combination)
    for name, combinations in with_truth.items():
        cells = [
            [cell for cell in comparison.at(cap) if cell.combination in combinations]
            for cap in comparison.caps
        ]
        rows.append([name, *(_accuracy(most_accurate(at_cap)) for at_cap in cells)])
    solvable = format_percent(comparison.solvable)
    rows.append(["a correct candidate exists", *(solvable for _ in comparison.caps)])
    columns = ("", *(f"{cap:g}" for cap in comparison.caps))
    return _table(
        "Upper bounds: accuracy in % by tests per problem, each with its best rule", columns, rows
    )


def _gains(comparison: PolicyComparison, rule: str) -> Table:
    rows = []
    for combination in comparison.combinations:
        if combination.selection != rule:
            continue
        cells = comparison.along(combination)
        if combination.policy == Uniform.name:
            shown = [format_plus_minus(cell.accuracy, 100) for cell in cells]
        else:
            shown = [format_plus_minus(cell.vs_uniform, 100, _SIGNED) for cell in cells]
        rows.append([combination.allocation, *shown])
    columns = ("", *(f"{cap:g}" for cap in comparison.caps))
    return _table(
        f"Selection {rule}: accuracy of equal budgets in %, and points that others gain over these (± half "
        "of the 95 % interval)",
        columns,
        rows,
    )


def _ratios(comparison: PolicyComparison) -> Table:
    rows = [
        [
            combination.name,
            *(_ratio(cell.spent.tests, cell.needed.tests) for cell in comparison.along(combination)),
        ]
        for combination in comparison.combinations
    ]
    columns = ("", *(f"{cap:g}" for cap in comparison.caps))
    return _table(
        "Tests for each test that the static reference needs for the same accuracy", columns, rows
    )


def _eliminations(comparison: PolicyComparison) -> Table:
    rows = [
        [
            f"{one.tests_per_problem:g}",
            one.selection,
            f"{one.pairs:,.0f}",
            f"{100 * one.distinct / one.pairs:.0f} %",
            f"{100 * one.survivors / one.pairs:.0f} %",
            format_interval(one.change, 100, _SIGNED),
        ]
        for one in comparison.eliminations
        if one.survivors < one.distinct
    ]
    return _table(
        "Executions of equal budgets: all pairs, distinct programs, and survivors of elimination",
        ("tests", "selection", "pairs", "distinct", "survivors", "points gained by elimination"),
        rows,
        words=1,
    )


def _quintiles(comparison: PolicyComparison) -> Table:
    rows = []
    for cap in comparison.caps:
        best = comparison.best(cap)
        shown = (f"{q.tests:.1f}, {format_number(100 * q.vs_reference, _SIGNED)}" for q in best.quintiles)
        rows.append([f"{cap:g}", best.combination.name, *shown])
    return _table(
        "The best combination by quintiles of the problems, from the hardest: tests, and points over the "
        "reference",
        ("tests", "best combination", *_pass_rates(comparison)),
        rows,
        words=1,
    )


def _pass_rates(comparison: PolicyComparison) -> list[str]:
    return [f"pass rate {100 * quintile.pass_rate:.0f} %" for quintile in comparison.grid[0].quintiles]


def _names(cell: GridCell) -> list[str]:
    combination = cell.combination
    return [
        f"{cell.tests_per_problem:g}",
        combination.selection,
        combination.policy,
        combination.predictor or "",
    ]


def _figures(cell: GridCell) -> list[str]:
    uniform = cell.combination.policy == Uniform.name
    return [
        format_interval(cell.accuracy, 100),
        "" if uniform else format_interval(cell.vs_uniform, 100, _SIGNED),
        "" if uniform else format_interval(cell.uniform_tests),
        "" if uniform else _ratio(cell.spent.tests, cell.uniform_tests.value),
        format_interval(cell.vs_reference, 100, _SIGNED),
        format_interval(cell.reference_tests),
    ]


def _amounts(cell: GridCell) -> list[str]:
    forms = (",.2f" if "seconds" in name else ",.1f" for name in QUANTITIES)
    return [format_number(amount, form) for amount, form in zip(astuple(cell.spent), forms, strict=True)]


def _shares(cell: GridCell) -> list[str]:
    return [_ratio(*pair) for pair in zip(astuple(cell.spent), astuple(cell.needed), strict=True)]


def _ratio(spent: float, needed: float) -> str:
    """Ratio as text; ``never`` if ``needed`` is infinite, a dash if it is 0."""
    if math.isinf(needed):
        return "never"
    return format_number(spent / needed, ".2f") if needed else "–"


def _accuracy(cell: GridCell) -> str:
    return format_percent(cell.accuracy.value)

"""What a comparison states, as sheets of text: the same on the terminal and on the page."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

from policies import Uniform, policy_class
from scheduler.analysis.compare.comparison import STATIC_RULES, Cell, Comparison, Line
from scheduler.analysis.compare.statistics import Estimate
from scheduler.ledger import QUANTITIES

_QUANTITIES = tuple(name.replace("_", " ") for name in QUANTITIES)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of text.

    Attributes:
        title: what its cells are.
        columns: their names.
        rows: as many cells each.
        words: how many columns, after the first, are words.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 0


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


def summary(comparison: Comparison) -> Iterator[Sheet]:
    """Which line is best at which cap, what it saves, and what nobody can pass."""
    yield _best(comparison)
    yield _saved(comparison)
    yield _ceilings(comparison)


def details(comparison: Comparison) -> Iterator[Sheet]:
    """Every line by the side of its like."""
    for rule in dict.fromkeys(line.selection for line in comparison.lines):
        yield _gains(comparison, rule)
    yield _ratios(comparison)
    if any(race.raced < race.distinct for race in comparison.races):
        yield _races(comparison)
    yield _fifths(comparison)


def everything(comparison: Comparison) -> Iterator[Sheet]:
    """Every cell with its intervals, and with all that was spent."""
    names = ("tests", "selection", "policy", "predictor")
    yield Sheet(
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
    yield Sheet(
        "Spent per problem",
        (*names, *_QUANTITIES),
        [[*_names(cell), *_amounts(cell)] for cell in comparison.cells],
        words=3,
    )
    yield Sheet(
        "Spent, as a share of what the static reference spends for the same accuracy",
        (*names, *_QUANTITIES),
        [[*_names(cell), *_shares(cell)] for cell in comparison.cells],
        words=3,
    )
    yield Sheet(
        "By fifths of the problems, from the hardest: tests, and points over uniform with the same rule",
        (*names, *_pass_rates(comparison)),
        [
            [*_names(cell), *(f"{f.tests:.1f}, {_number(100 * f.gain, '+.1f')}" for f in cell.fifths)]
            for cell in comparison.cells
        ],
        words=3,
    )


def _best(comparison: Comparison) -> Sheet:
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
    return Sheet(
        "The best line without an oracle: accuracy in %, and tests that the reference takes to be as good",
        ("tests", "reference", "best line", "accuracy", "lead", "as reference with"),
        rows,
        words=2,
    )


def _saved(comparison: Comparison) -> Sheet:
    rows = [[f"{cap:g}", *_shares(comparison.best(cap))] for cap in comparison.caps]
    return Sheet(
        "What the best line spends, for each unit that the reference spends to be as good",
        ("cap", *_QUANTITIES),
        rows,
    )


def _ceilings(comparison: Comparison) -> Sheet:
    rows = [
        ["static reference", *(_percent(comparison.static(cap)) for cap in comparison.caps)],
        ["best line without an oracle", *(_percent(comparison.best(cap)) for cap in comparison.caps)],
    ]
    knowing: dict[str, list[Line]] = {}
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
    return Sheet("Ceilings: accuracy in % by tests per problem, each with its best rule", columns, rows)


def _gains(comparison: Comparison, rule: str) -> Sheet:
    rows = []
    for line in comparison.lines:
        if line.selection != rule:
            continue
        equal = line.policy == Uniform.name
        estimates = [cell.accuracy if equal else cell.gain for cell in comparison.along(line)]
        signs = "" if equal else "+"
        rows.append([line.allocation, *(_plus_minus(estimate, signs) for estimate in estimates)])
    columns = ("", *(f"{cap:g}" for cap in comparison.caps))
    return Sheet(
        f"Selection {rule}: accuracy of equal budgets in %, and points that others gain over these (± half "
        "of the 95 % interval)",
        columns,
        rows,
    )


def _ratios(comparison: Comparison) -> Sheet:
    rows = [
        [line.name, *(_ratio(cell.spent.tests, cell.needed.tests) for cell in comparison.along(line))]
        for line in comparison.lines
    ]
    columns = ("", *(f"{cap:g}" for cap in comparison.caps))
    return Sheet("Tests for each test that the static reference needs for the same accuracy", columns, rows)


def _races(comparison: Comparison) -> Sheet:
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
    return Sheet(
        "Executions of equal budgets: all pairs, distinct programs, and with racing",
        ("tests", "selection", "pairs", "distinct", "raced", "points gained by racing"),
        rows,
        words=1,
    )


def _fifths(comparison: Comparison) -> Sheet:
    rows = []
    for cap in comparison.caps:
        best = comparison.best(cap)
        shown = (f"{fifth.tests:.1f}, {_number(100 * fifth.lead, '+.1f')}" for fifth in best.fifths)
        rows.append([f"{cap:g}", best.line.name, *shown])
    return Sheet(
        "The best line by fifths of the problems, from the hardest: tests, and points over the reference",
        ("tests", "best line", *_pass_rates(comparison)),
        rows,
        words=1,
    )


def _pass_rates(comparison: Comparison) -> list[str]:
    return [f"pass rate {100 * fifth.pass_rate:.0f} %" for fifth in comparison.cells[0].fifths]


def _names(cell: Cell) -> list[str]:
    line = cell.line
    return [f"{cell.tests_per_problem:g}", line.selection, line.policy, line.predictor or ""]


def _results(cell: Cell) -> list[str]:
    equal = cell.line.policy == Uniform.name
    return [
        _interval(cell.accuracy, 100),
        "" if equal else _interval(cell.gain, 100, "+"),
        "" if equal else _interval(cell.uniform_tests, 1),
        "" if equal else _ratio(cell.spent.tests, cell.uniform_tests.value),
        _interval(cell.lead, 100, "+"),
        _interval(cell.reference_tests, 1),
    ]


def _amounts(cell: Cell) -> list[str]:
    forms = (",.2f" if "seconds" in name else ",.1f" for name in QUANTITIES)
    return [_number(amount, form) for amount, form in zip(astuple(cell.spent), forms, strict=True)]


def _shares(cell: Cell) -> list[str]:
    return [_ratio(*pair) for pair in zip(astuple(cell.spent), astuple(cell.needed), strict=True)]


def _ratio(spent: float, needed: float) -> str:
    """``never``: the other never gets there, whatever it spends."""
    if math.isinf(needed):
        return "never"
    return _number(spent / needed, ".2f") if needed else "–"


def _plus_minus(estimate: Estimate, sign: str) -> str:
    return f"{_number(100 * estimate.value, f'{sign}.1f')} ±{50 * (estimate.high - estimate.low):.1f}"


def _interval(estimate: Estimate, scale: float, sign: str = "") -> str:
    value, low, high = (
        _number(scale * number, f"{sign}.1f") for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def _percent(cell: Cell) -> str:
    return f"{100 * cell.accuracy.value:.1f}"


def _accuracy(cell: Cell) -> float:
    return cell.accuracy.value


def _number(value: float, form: str) -> str:
    if math.isnan(value):
        return "unknown"
    return "never" if math.isinf(value) else format(value, form)

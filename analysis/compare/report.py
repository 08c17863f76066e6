"""A comparison on the terminal, as an HTML page, as Parquet and as JSON."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from testbudget.analysis.compare.results import Combination, GridCell, PolicyComparison, most_accurate
from testbudget.analysis.compare.settings import STATIC_RULES
from testbudget.analysis.compare.tables import detail_tables, grid_tables, rules, summary_tables
from testbudget.analysis.tables import flat_record, json_record
from testbudget.analysis.view.study_page import (
    Block,
    Series,
    bars_block,
    heading_block,
    lines_block,
    table_block,
    text_block,
    write_study_page,
)
from testbudget.rewards.bootstrap import Interval
from testbudget.traces.agreement import Score
from testbudget.traces.tables import write_table

_BANDS = "means over problems and permutations of the tests; bands: 95 % bootstrap intervals"
_CORRELATIONS = (
    "Rank correlation of predicted with measured pass rates: {}. noisy:R is the measured pass rates, "
    "exchanged among problems until their rank correlation with the truth is R. noisy-calibrated:R is the"
    " expected pass rate given the same noisy ranks. Both know the truth. They show the worth of a "
    "predictor with that rank correlation."
)
_CAUTION = (
    "The best combination was chosen on these very problems, so its accuracy is too optimistic. "
    "Combinations that know the truth cannot be used in a run. They show what is left to gain. Brackets "
    "are 95 % bootstrap intervals over problems and permutations, paired where two combinations are "
    "compared. 'As reference with' is the number of tests per problem at which the static reference is as"
    " accurate, 'as uniform with' the number at which equal budgets with the same rule are."
)
_PER_QUINTILE = ("pass_rate", "tests", "accuracy", "vs_uniform", "vs_reference")


def print_comparison(comparison: PolicyComparison, console: Console) -> None:
    """Print the best combinations and their savings, then every combination."""
    console.print(_heading(comparison), highlight=False)
    if correlations := _correlations(comparison):
        console.print(
            f"Rank correlation of predicted with measured pass rates: {correlations}.", highlight=False
        )
    for note in comparison.notes:
        console.print(note, highlight=False)
    for table in (*summary_tables(comparison), *detail_tables(comparison)):
        table.print(console)


def write_grid(comparison: PolicyComparison, path: Path) -> None:
    """Write every cell of the grid as a row of a Parquet file.

    Columns: ``tests_per_problem``, ``selection``, ``policy``, ``predictor`` (null without one),
    ``rank_correlation``, ``knows_truth``, ``reference`` (rule of the static reference at this cap); the
    figures ``accuracy``, ``vs_uniform``, ``vs_reference``, ``uniform_tests`` and ``reference_tests``, each
    with ``_low`` and ``_high``; ``tests``, ``tokens``, ``executions``, ``cpu_seconds`` and ``gpu_seconds``
    spent per problem, NaN if unmeasured; the same with ``needed_`` for the static reference at equal
    accuracy; lists by quintile, from the hardest, with ``quintiles_``. Shares are in [0, 1].
    """
    write_table(pa.Table.from_pylist([_row(cell, comparison) for cell in comparison.grid]), path)


def comparison_records(comparison: PolicyComparison) -> dict[str, Any]:
    """All figures as plain JSON.

    A figure is ``{"value": x, "interval": [low, high]}`` with a 95 % bootstrap interval; shares are in
    [0, 1]; a number that is unknown or never reached is null.

    Returns:
        An object with these keys:

        - ``run``, ``score`` (accuracy, or agreement without labels)
        - ``problems``, ``permutations``, ``seed``, ``caps`` (tests per problem), ``notes``
        - ``pass_at_1``, ``solvable``: accuracy of a random candidate; share of problems with a correct one
        - ``grid``: for each cap and combination ``tests_per_problem``, ``selection``, ``policy``,
          ``predictor``, ``rank_correlation``, ``knows_truth``, ``reference``; the figures ``accuracy``,
          ``vs_uniform``, ``vs_reference``, ``uniform_tests``, ``reference_tests``; ``spent`` and ``needed``
          by quantity, per problem; ``quintiles``: lists by name, from the hardest problems
        - ``eliminations``: ``selection``, ``tests_per_problem``, ``pairs``, ``distinct``, ``survivors``
          per problem, and the figure ``change`` in accuracy
        - ``wanted`` and, if it is given, ``smallest_caps``: ``selection``, ``policy``, ``predictor`` and
          the figure ``tests_per_problem``
    """
    return {
        "run": comparison.run,
        "score": comparison.score.value,
        "problems": comparison.problems,
        "permutations": comparison.settings.permutations,
        "seed": comparison.settings.seed,
        "caps": [float(cap) for cap in comparison.caps],
        "notes": list(comparison.notes),
        "pass_at_1": comparison.pass_at_1,
        "solvable": comparison.solvable,
        "grid": [
            json_record(
                {
                    **_identity(cell, comparison),
                    **_intervals(cell),
                    "spent": cell.spent,
                    "needed": cell.needed,
                    "quintiles": _by_quintile(cell),
                }
            )
            for cell in comparison.grid
        ],
        "eliminations": [json_record(one) for one in comparison.eliminations],
        "wanted": comparison.settings.wanted,
        "smallest_caps": [
            json_record(
                {
                    "selection": one.combination.selection,
                    "policy": one.combination.policy,
                    "predictor": one.combination.predictor,
                    "tests_per_problem": one.tests_per_problem,
                }
            )
            for one in comparison.smallest_caps
        ],
    }


def write_comparison(comparison: PolicyComparison, path: Path) -> None:
    """Write charts and tables as one HTML page.

    Raises:
        OSError: the file cannot be written.
    """
    blocks = [text_block(_heading(comparison))]
    if correlations := _correlations(comparison):
        blocks.append(text_block(_CORRELATIONS.format(correlations)))
    blocks += [text_block(note) for note in comparison.notes]
    blocks.append(_overview(comparison))
    blocks += [table_block(table) for table in summary_tables(comparison)]
    blocks.append(text_block(_CAUTION))
    for rule, charts in _charts_by_rule(comparison):
        blocks += [heading_block(f"Selection by {rule}"), *charts]
    blocks += [heading_block("Tests and gains by difficulty"), *_charts_of_quintiles(comparison)]
    tables = (*detail_tables(comparison), *grid_tables(comparison))
    blocks += [heading_block("All figures"), *(table_block(table, folded=True) for table in tables)]
    write_study_page(f"Policies and rules compared on {comparison.run}", blocks, path)


def _heading(comparison: PolicyComparison) -> str:
    any_candidate, solvable = 100 * comparison.pass_at_1, 100 * comparison.solvable
    problems = f"{comparison.problems} problem" + "s" * (comparison.problems > 1)
    start = (
        f"{comparison.run}: {problems}, {comparison.settings.permutations} permutations of their tests. "
    )
    if comparison.score is Score.AGREEMENT:
        return (
            f"{start}There are no labels: accuracy is agreement with the pick of all tests by "
            "`calibrated`. It says nothing of whether that is right, and favours rules like it. A random "
            f"candidate agrees in {any_candidate:.1f} % of cases. The static reference is equal budgets "
            f"with {' or '.join(STATIC_RULES)}, whichever agrees more."
        )
    return (
        f"{start}A random candidate is correct in {any_candidate:.1f} % of cases, "
        f"and {solvable:.1f} % of the problems have a correct one. The static reference is equal budgets "
        f"with {' or '.join(STATIC_RULES)}, whichever is better."
    )


def _correlations(comparison: PolicyComparison) -> str:
    known = {one.predictor: one.correlation for one in comparison.combinations if one.predictor}
    return ", ".join(f"{name} {value:.2f}" for name, value in known.items())


def _row(cell: GridCell, comparison: PolicyComparison) -> dict[str, Any]:
    return flat_record(
        {
            **_identity(cell, comparison),
            **_intervals(cell),
            "": cell.spent,
            "needed": cell.needed,
            **{f"quintiles_{name}": values for name, values in _by_quintile(cell).items()},
        }
    )


def _identity(cell: GridCell, comparison: PolicyComparison) -> dict[str, Any]:
    return {
        "tests_per_problem": float(cell.tests_per_problem),
        "selection": cell.combination.selection,
        "policy": cell.combination.policy,
        "predictor": cell.combination.predictor,
        "rank_correlation": cell.combination.correlation,
        "knows_truth": cell.combination.knows_truth,
        "reference": comparison.reference(cell.tests_per_problem).combination.selection,
    }


def _intervals(cell: GridCell) -> dict[str, Interval]:
    return {
        "accuracy": cell.accuracy,
        "vs_uniform": cell.vs_uniform,
        "vs_reference": cell.vs_reference,
        "uniform_tests": cell.uniform_tests,
        "reference_tests": cell.reference_tests,
    }


def _by_quintile(cell: GridCell) -> dict[str, list[float]]:
    return {name: [getattr(one, name) for one in cell.quintiles] for name in _PER_QUINTILE}


def _overview(comparison: PolicyComparison) -> Block:
    """Lines of the static reference, the best combination, and the best one that knows the truth."""
    bounds = [
        ("a correct candidate exists", comparison.solvable),
        ("a random candidate", comparison.pass_at_1),
    ]
    with_truth = [
        one for one in comparison.combinations if one.knows_truth and one.predictor in (None, "oracle")
    ]
    drawn = [
        _series("static reference", [comparison.reference(cap) for cap in comparison.caps], _accuracy),
        _series(
            "best combination without an oracle",
            [comparison.best(cap) for cap in comparison.caps],
            _accuracy,
        ),
    ]
    if with_truth:
        upper = [
            most_accurate([cell for cell in comparison.at(cap) if cell.combination in with_truth])
            for cap in comparison.caps
        ]
        drawn.append(_series("best combination with an oracle", upper, _accuracy))
    return lines_block("Accuracy at each cap", drawn, say=_BANDS, levels=bounds)


def _charts_by_rule(comparison: PolicyComparison) -> Iterator[tuple[str, list[Block]]]:
    """Charts of accuracy and of its difference to the static reference, by name of the rule."""
    for rule in rules(comparison):
        combinations = [one for one in comparison.combinations if one.selection == rule]
        accuracy, difference = (
            _all_series(comparison, combinations, measure) for measure in (_accuracy, _vs_reference)
        )
        yield (
            rule,
            [
                lines_block("Accuracy", accuracy, say=_BANDS),
                lines_block("Points over the static reference", difference, say=_BANDS, signed=True),
            ],
        )


def _charts_of_quintiles(comparison: PolicyComparison) -> list[Block]:
    """Charts of tests and gains by quintile at the middle cap, with the rule that is best there."""
    cap = comparison.caps[len(comparison.caps) // 2]
    best = comparison.best(cap)
    rule = best.combination.selection
    cells = [cell for cell in comparison.at(cap) if cell.combination.selection == rule]
    names = [f"{100 * quintile.pass_rate:.0f} %" for quintile in best.quintiles]
    say = f"quintiles of the problems by pass rate; {rule}, {cap:g} tests per problem"
    tests = [(cell.combination.allocation, [one.tests for one in cell.quintiles]) for cell in cells]
    gains = [(cell.combination.allocation, [one.vs_uniform for one in cell.quintiles]) for cell in cells]
    return [
        bars_block("Tests per problem", names, tests, say=say),
        bars_block("Points over equal budgets", names, gains, say=say, percent=True),
    ]


def _all_series(
    comparison: PolicyComparison,
    combinations: Sequence[Combination],
    measure: Callable[[GridCell], Interval],
) -> list[Series]:
    return [_series(one.allocation, comparison.along(one), measure) for one in combinations]


def _series(name: str, cells: Sequence[GridCell], measure: Callable[[GridCell], Interval]) -> Series:
    figures = [measure(cell) for cell in cells]
    return Series(
        name,
        [cell.tests_per_problem for cell in cells],
        [figure.value for figure in figures],
        [figure.low for figure in figures],
        [figure.high for figure in figures],
    )


def _accuracy(cell: GridCell) -> Interval:
    return cell.accuracy


def _vs_reference(cell: GridCell) -> Interval:
    return cell.vs_reference

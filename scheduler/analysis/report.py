"""Finished runs as a table on the terminal and as a page."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rewards.problem import Verdict
from rewards.quality import Quality
from scheduler.analysis.pages import write_page
from scheduler.analysis.summary import RunSummary
from scheduler.ledger import QUANTITIES
from scheduler.records import TestStatus

_SHOWN = 5  # problems that more tests may harm, on the terminal
_RATES: dict[str, Callable[[Quality], float]] = {
    "accuracy (estimated)": lambda tests: tests.accuracy,
    "F1": lambda tests: tests.f1,
    "FAR, wrong share of accepted": lambda tests: tests.false_acceptance_rate,
    "FRR, right share of rejected": lambda tests: tests.false_rejection_rate,
    "false positive rate": lambda tests: tests.false_positive_rate,
    "false negative rate": lambda tests: tests.false_negative_rate,
}


def rows(runs: Sequence[RunSummary]) -> list[tuple[str, list[str]]]:
    """The side-by-side table: a name and one value per run in each row; unknown values are a dash."""
    return [
        ("policy", [run.job.policy.name for run in runs]),
        ("selection", [run.job.selection for run in runs]),
        ("cap", [", ".join(f"{v:g} {d}" for d, v in run.cap.limits.items()) for run in runs]),
        ("problems", [str(len(run.problems)) for run in runs]),
        ("candidates", [str(sum(problem.candidates for problem in run.problems)) for run in runs]),
        ("  distinct programs", [str(sum(problem.programs for problem in run.problems)) for run in runs]),
        ("pass@1 (no tests)", [_percent(run.pass_at_1) for run in runs]),
        ("accuracy of the picks", [_percent(run.accuracy) for run in runs]),
        ("  at most (a right candidate exists)", [_percent(run.solvable) for run in runs]),
        ("  estimated without ground truth", [_percent(run.expected_accuracy) for run in runs]),
        ("coverage (picks not abstained)", [_percent(run.coverage) for run in runs]),
        ("  accuracy of these", [_percent(run.covered_accuracy) for run in runs]),
        ("problems that more tests may harm", [str(len(run.overoptimised)) for run in runs]),
        *((f"spent {name}", [_amount(getattr(run.spent, name)) for run in runs]) for name in QUANTITIES),
        ("spent usd", [_amount(run.usd) if run.cap.prices else "–" for run in runs]),
        *((f"tests {status}", [str(run.tests[status]) for run in runs]) for status in TestStatus),
        *(
            (
                f"pairs {verdict.name.lower().replace('_', ' ')}",
                [str(run.verdicts[verdict]) for run in runs],
            )
            for verdict in Verdict
        ),
        ("pairs not run", [str(sum(problem.not_run for problem in run.problems)) for run in runs]),
        ("  share saved", [_percent(run.not_run) for run in runs]),
        *_quality_rows("single tests", [(run.single, run.expected_single) for run in runs]),
        *_quality_rows("tests together", [(run.combined, run.expected_combined) for run in runs]),
        ("pairs in one interpreter", [_percent(run.together) for run in runs]),
        ("behaviours per problem", [_one_decimal(run.behaviours) for run in runs]),
    ]


def _quality_rows(
    which: str, runs: Sequence[tuple[Quality | None, Quality | None]]
) -> list[tuple[str, list[str]]]:
    """Rates of tests: as measured, and in brackets as estimated without ground truth."""
    return [
        (
            f"{which}: {name}",
            [
                f"{_percent(rate(measured) if measured else None)} "
                f"({_percent(rate(expected) if expected else None)})"
                for measured, expected in runs
            ],
        )
        for name, rate in _RATES.items()
    ]


def print_report(runs: Sequence[RunSummary], page: Path, console: Console) -> None:
    """Prints the side-by-side table, then where the picks and the page lie."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run")
    for run in runs:
        table.add_column(run.directory.name, justify="right")
    for name, values in rows(runs):
        table.add_row(name, *values)
    console.print(table)
    for run in runs:
        for problem in run.overoptimised[:_SHOWN]:
            console.print(
                f"more tests may harm {problem.problem} ({run.directory.name}): {problem.outlook.reason}",
                highlight=False,
                soft_wrap=True,
            )
        if len(run.overoptimised) > _SHOWN:
            console.print(f"… and {len(run.overoptimised) - _SHOWN} more: see the report")
    picks = [run.directory / "picks.jsonl" for run in runs]
    for name, path in [*(("picks", path) for path in picks if path.exists()), ("report", page)]:
        console.print(f"{name}: {path}", highlight=False, soft_wrap=True)


def write_report(runs: Sequence[RunSummary], path: Path) -> None:
    """Writes the side-by-side table and every problem of every run as one HTML page."""
    write_page(
        "report.html.j2",
        path,
        {"percent": _percent, "amount": _amount},
        runs=runs,
        rows=rows(runs),
        usable=TestStatus.USABLE,
    )


def _percent(share: float | None) -> str:
    return "–" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def _one_decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _amount(value: float) -> str:
    if math.isnan(value):
        return "unknown"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"

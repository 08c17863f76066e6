"""Finished runs as a table on the terminal and as a page."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from testbudget.analysis import plots
from testbudget.analysis.summary import RunSummary
from testbudget.analysis.tables import write_page
from testbudget.difficulty.examples import TARGETS
from testbudget.difficulty.scores import ScoreInterval, Scores
from testbudget.difficulty.training import TargetScores, Training
from testbudget.rewards.problem import Verdict
from testbudget.rewards.quality import TestQuality
from testbudget.traces.records import QUANTITIES, TestStatus

_SHOWN = 5  # problems that more tests may harm, on the terminal
_RATES: dict[str, Callable[[TestQuality], float]] = {
    "accuracy (estimated)": lambda tests: tests.accuracy,
    "F1": lambda tests: tests.f1,
    "FAR, wrong share of accepted": lambda tests: tests.false_acceptance_rate,
    "FRR, right share of rejected": lambda tests: tests.false_rejection_rate,
    "false positive rate": lambda tests: tests.false_positive_rate,
    "false negative rate": lambda tests: tests.false_negative_rate,
}


def summary_rows(runs: Sequence[RunSummary]) -> list[tuple[str, list[str]]]:
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
        ("problems that more tests may harm", [str(len(run.harmful)) for run in runs]),
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
        ("pairs in one interpreter", [_percent(run.same_process) for run in runs]),
        ("behaviours per problem", [_one_decimal(run.outputs_by_problem) for run in runs]),
    ]


def _quality_rows(
    which: str, runs: Sequence[tuple[TestQuality | None, TestQuality | None]]
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
    for name, values in summary_rows(runs):
        table.add_row(name, *values)
    console.print(table)
    for run in runs:
        for problem in run.harmful[:_SHOWN]:
            console.print(
                f"more tests may harm {problem.problem} ({run.directory.name}): {problem.test_effect.reason}",
                highlight=False,
                soft_wrap=True,
            )
        if len(run.harmful) > _SHOWN:
            console.print(f"… and {len(run.harmful) - _SHOWN} more: see the report")
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
        rows=summary_rows(runs),
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


# ~ """What training came to, as a table on the terminal and as a page with plots."""


_HEADINGS = {
    "spearman": "Spearman",
    "auroc": "AUROC",
    "brier": "Brier",
    "calibration_error": "calibration error",
}
WIDTH = 116
"""Characters that a line of the printed tables needs."""

_BINS = 10
_NORMAL_95 = 1.96  # standard errors on either side

ByMethod = Mapping[str, TargetScores]


@dataclass(frozen=True, slots=True)
class ReportSection:
    """Predictions of one set of problems.

    Attributes:
        title: which problems, and by what they were predicted.
        judged: by target, then by method.
    """

    title: str
    judged: Mapping[str, ByMethod]


def training_sections(
    training: Training, held_out: Mapping[str, Mapping[str, ByMethod]]
) -> list[ReportSection]:
    """All that there is to show: of the training problems, and of the runs that were only tested on."""
    runs = ", ".join(f"{run.run} ({run.problems} problems)" for run in training.problems.runs)
    own = {
        target: {method: gain_model.judged for method, gain_model in by_method.items()}
        for target, by_method in training.fitted_targets.items()
    }
    return [
        ReportSection(f"{runs}, each problem by what was learned without its fold", own),
        *(
            ReportSection(f"{name}, by what was learned on {runs}", judged)
            for name, judged in held_out.items()
        ),
    ]


def score_rows(by_method: ByMethod) -> list[list[str]]:
    """Each method's figures with their 95 % intervals."""
    return [
        [method, *(_with_interval(getattr(judged.scores, figure.name)) for figure in fields(Scores))]
        for method, judged in by_method.items()
    ]


def print_training(shown: Sequence[ReportSection], console: Console) -> None:
    """Prints a table for each section."""
    for section in shown:
        console.print(section.title, style="bold", highlight=False, soft_wrap=True)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("", *_HEADINGS.values()):
            table.add_column(heading, no_wrap=True)
        for target, by_method in section.judged.items():
            table.add_row(_heading(target, by_method), style="bold")
            for row in score_rows(by_method):
                table.add_row(*row)
        console.print(table)
        console.print()


def write_training(training: Training, shown: Sequence[ReportSection], path: Path) -> None:
    """Writes tables and plots of all sections as one HTML page."""
    method = training.settings.method
    write_page(
        "training.html.j2",
        path,
        method=method,
        headings=_HEADINGS,
        sections=[
            {
                "title": section.title,
                "targets": [
                    {
                        "target": TARGETS[target],
                        "heading": _heading(target, by_method),
                        "rows": score_rows(by_method),
                        "svgs": _plots(by_method[method]),
                    }
                    for target, by_method in section.judged.items()
                ],
            }
            for section in shown
        ],
    )


def reliability_bins(judged: TargetScores) -> list[plots.ReliabilityBin]:
    """Problems in bins of equal size by prediction, as ``plots.reliability`` draws them.

    The interval is the mean of the measured values, give or take 1.96 standard errors over problems.
    """
    order = np.argsort(judged.predicted.mean, kind="stable")
    drawn = []
    for part in np.array_split(order, min(_BINS, len(order))):
        values = judged.labels.values[part]
        mean = float(values.mean())
        error = float(values.std(ddof=1) / math.sqrt(len(part))) if len(part) > 1 else 0.0
        drawn.append(
            plots.ReliabilityBin(
                float(judged.predicted.mean[part].mean()),
                mean,
                mean - _NORMAL_95 * error,
                mean + _NORMAL_95 * error,
                len(part),
            )
        )
    return drawn


def _heading(target: str, by_method: ByMethod) -> str:
    problems = len(next(iter(by_method.values())).labels.values)
    return f"{target} ({problems})"


def _plots(judged: TargetScores) -> list[str]:
    target = judged.labels.target
    limits = (-1.0, 1.0) if target.signed else (0.0, 1.0)
    quantity = target.name.replace("_", " ")
    return [
        plots.as_svg(
            plots.scatter(judged.predicted.mean, judged.labels.values, quantity=quantity, limits=limits)
        ),
        plots.as_svg(plots.reliability(reliability_bins(judged), quantity=quantity, limits=limits)),
    ]


def _with_interval(figure: ScoreInterval) -> str:
    if math.isnan(figure.value):
        return "–"
    return f"{figure.value:.3f} ({figure.low:.3f}, {figure.high:.3f})"

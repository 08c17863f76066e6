"""The ten figures that a run ends with; all others are in its report."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from testbudget.cli.console import number_of
from testbudget.rewards.problem import Verdict
from testbudget.traces.records import TestStatus

if TYPE_CHECKING:
    from testbudget.analysis.summary import RunSummary

_FEW = 30  # problems below which the models of p_correct count for a quarter of its level or more
_NORMAL_95 = 1.96  # standard errors on either side
_TIMES = ("cpu_seconds", "gpu_seconds")


def print_main_figures(run: "RunSummary", seconds: float | None, page: Path, console: Console) -> None:
    """Print the figures that matter, a line each, and the files of the run.

    Args:
        run: summary of the run.
        seconds: seconds that it took; None if unknown.
        page: path of its report.
        console: the console to write to.
    """
    rows = [*_rows(run, seconds)]
    picks = run.directory / "picks.jsonl"
    rows += [("picks", str(picks))] if picks.exists() else []
    rows += [("report", str(page))]
    width = max(len(name) for name, _ in rows)
    for name, shown in rows:
        console.print(f"{name:<{width}}  {shown}", highlight=False, soft_wrap=True, markup=False)


def _rows(run: "RunSummary", seconds: float | None) -> Iterator[tuple[str, str]]:
    problems = len(run.problems)
    if run.accuracy is not None and run.pass_at_1 is not None and run.solvable is not None:
        yield "accuracy of the picks", f"{run.accuracy:.1%}"
        yield "  without tests", f"{run.pass_at_1:.1%}"
        yield "  at most", f"{run.solvable:.1%} (problems with a correct candidate)"
    yield "estimated without labels", _estimated(run)
    abstained = sum(problem.abstained for problem in run.problems)
    yield "picks", f"{problems - abstained} of {number_of(problems, 'problem')}, {abstained} abstained"
    tests = run.tests.total()
    usable = run.tests[TestStatus.USABLE]
    yield "tests", f"{tests:,} ({tests / max(problems, 1):.3g} per problem), {usable:,} usable"
    spent = ", ".join(
        f"{_amount(run, unit):,.4g} of {limit:,.10g} {unit}" for unit, limit in run.cap.limits.items()
    )
    yield "spent", spent
    verdicts = run.verdicts
    pairs = verdicts.total()
    if pairs:
        unconfirmed = verdicts[Verdict.UNCONFIRMED]
        yield (
            "pairs",
            f"{pairs:,} run, {verdicts[Verdict.PASSED] / pairs:.1%} passed, {unconfirmed:,} unconfirmed",
        )
    times = [
        f"{amount:,.3g} {unit.replace('_', ' ')}"
        for unit in _TIMES
        if (amount := getattr(run.spent, unit)) and not math.isnan(amount)
    ]
    if seconds is not None:
        times.insert(0, f"{seconds:,.3g} seconds")
    yield "time", ", ".join(times) or "unknown"
    if harmful := len(run.harmful):
        yield "harmed by more tests", f"{number_of(harmful, 'problem')}, perhaps: see the report"


def _estimated(run: "RunSummary") -> str:
    """Mean p_correct and its interval as if each were exact, and a word on what few problems can tell."""
    known = [problem.p_correct for problem in run.problems]
    error = _NORMAL_95 * math.sqrt(sum(p * (1 - p) for p in known)) / max(len(known), 1)
    low, high = max(0.0, run.estimated_accuracy - error), min(1.0, run.estimated_accuracy + error)
    few = ", of too few problems to correct its models" if len(known) < _FEW else ""
    return f"{run.estimated_accuracy:.1%}, {low:.0%} to {high:.0%} (mean p_correct{few})"


def _amount(run: "RunSummary", unit: str) -> float:
    """Amount spent and lost of a unit of the cap."""
    if unit == "usd":
        return run.usd
    return float(getattr(run.spent, unit) + getattr(run.lost, unit))

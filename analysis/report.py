"""Finished runs side by side: on the terminal, as an HTML page and as JSON."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from testbudget.analysis.summary import ProblemSummary, RunSummary
from testbudget.analysis.tables import Table, format_percent, json_record
from testbudget.analysis.verdict_reasons import COUNTED_VERDICTS, ReasonCounts
from testbudget.rewards.problem import Verdict
from testbudget.rewards.quality import TestQuality
from testbudget.traces.records import QUANTITIES, TestStatus

_SHOWN = 5  # problems that more tests may harm, on the terminal, and reasons of a verdict
_RATES = {
    "accuracy (estimated)": "accuracy",
    "F1": "f1",
    "FAR, wrong share of accepted": "false_acceptance_rate",
    "FRR, correct share of rejected": "false_rejection_rate",
    "false positive rate": "false_positive_rate",
    "false negative rate": "false_negative_rate",
}
"""Attributes of ``TestQuality`` by their names in the table."""


def summary_table(runs: Sequence[RunSummary]) -> Table:
    """Table with a row for each figure and a column for each run; a dash for unknown values."""
    rows = [[name, *values] for name, values in _rows(runs)]
    return Table("", ("run", *(run.directory.name for run in runs)), rows, frozenset({0}), wraps=True)


def print_report(runs: Sequence[RunSummary], page: Path, console: Console) -> None:
    """Print the table of the runs, the problems that more tests may harm, and the paths of the files.

    Args:
        runs: summaries of the runs.
        page: path of the HTML page.
        console: writes to the terminal.
    """
    summary_table(runs).print(console)
    print_notes(runs, console)
    picks = [run.directory / "picks.jsonl" for run in runs]
    for name, path in [*(("picks", path) for path in picks if path.exists()), ("report", page)]:
        console.print(f"{name}: {path}", highlight=False, soft_wrap=True)


def print_notes(runs: Sequence[RunSummary], console: Console) -> None:
    """Print what is to be noticed about runs: answers without a program, weak ground truths, harm.

    Args:
        runs: summaries of the runs.
        console: writes to the terminal.
    """
    for run in runs:
        if run.without_program:
            total = sum(problem.candidates for problem in run.problems)
            console.print(
                f"{run.without_program} of {total} answers hold no program in the language of their "
                f"problem ({run.directory.name}): they pass nothing, and have a note in candidates.parquet",
                highlight=False,
                soft_wrap=True,
            )
        if run.judged_alike:
            named = ", ".join(problem.problem for problem in run.judged_alike[:_SHOWN])
            more = ", …" if len(run.judged_alike) > _SHOWN else ""
            share = f"{len(run.judged_alike)} of {len(run.problems)}"
            console.print(
                f"warning: the ground truth of {share} problems judges all candidates alike "
                f"({run.directory.name}): {named}{more}",
                highlight=False,
                soft_wrap=True,
            )
        for problem in run.harmful[:_SHOWN]:
            reason = problem.test_effect.reason
            console.print(
                f"more tests may harm {problem.problem} ({run.directory.name}): {reason}",
                highlight=False,
                soft_wrap=True,
            )
        if len(run.harmful) > _SHOWN:
            console.print(f"… and {len(run.harmful) - _SHOWN} more: see the report")


def summary_records(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    """Figures of runs as plain JSON; a number that is unknown or needs labels is null.

    Returns:
        For each run an object with these keys:

        - ``run``, ``policy``, ``selection``, ``cap`` (limit by quantity), ``confidence_source``
        - ``candidates``, ``programs``, ``without_program``: totals; ``output_groups``: mean per problem
        - ``pass_at_1``, ``accuracy``, ``solvable``, ``estimated_accuracy``, ``coverage``,
          ``covered_accuracy``: shares of problems in [0, 1]
        - ``judged_alike``: problems whose ground truth judges all of several programs alike
        - ``spent`` and ``lost`` by quantity, ``prompt_tokens`` and ``usd`` of both (``usd`` is null without
          prices); ``cut_tasks`` that the end of the cap cut off, ``lost_tasks`` that the infrastructure
          failed too often
        - ``tests`` by status, ``verdicts`` of executed pairs, ``not_run`` as a share
        - ``passes_on_trust``, ``cut_pairs``: numbers of pairs; ``reasons``: for ``unconfirmed``,
          ``compile_error`` and ``errored``, number of pairs by the most frequent reasons
        - ``test_quality``: for ``single`` and ``combined`` tests, ``measured`` (null without labels) and
          ``expected`` rates
        - ``problems``: for each problem ``problem``, ``candidates``, ``programs``, ``without_program``,
          ``pass_rate``,
          ``predicted_pass_rate``, ``tests`` (usable), ``tests_passed``, ``accuracy``, ``p_correct``,
          ``abstained``, ``p_gain`` and ``p_harm`` of more tests, ``harmful``, ``spent``
    """
    return [json_record(_record(run)) for run in runs]


def _record(run: RunSummary) -> dict[str, Any]:
    return {
        "run": run.directory.resolve().name,
        "policy": run.job.policy.name,
        "selection": run.job.selection,
        "cap": run.cap.limits,
        "confidence_source": run.confidence_source,
        "candidates": sum(problem.candidates for problem in run.problems),
        "programs": sum(problem.programs for problem in run.problems),
        "without_program": run.without_program,
        "output_groups": run.output_groups,
        "pass_at_1": run.pass_at_1,
        "accuracy": run.accuracy,
        "judged_alike": [problem.problem for problem in run.judged_alike],
        "solvable": run.solvable,
        "estimated_accuracy": run.estimated_accuracy,
        "coverage": run.coverage,
        "covered_accuracy": run.covered_accuracy,
        "spent": dataclasses.asdict(run.spent),
        "prompt_tokens": run.prompt_tokens,
        "usd": run.usd if run.cap.prices else None,
        "lost": dataclasses.asdict(run.lost),
        "cut_tasks": run.cut_tasks,
        "lost_tasks": run.lost_tasks,
        "tests": {str(status): run.tests[status] for status in TestStatus},
        "verdicts": {verdict.name.lower(): run.verdicts[verdict] for verdict in Verdict},
        "not_run": run.not_run,
        "passes_on_trust": run.passes_on_trust,
        "cut_pairs": run.cut_pairs,
        "reasons": {
            verdict.name.lower(): {
                sentence: run.reasons[verdict, sentence]
                for sentence in _most_frequent(run.reasons, verdict)
            }
            for verdict in COUNTED_VERDICTS
        },
        "test_quality": {
            "single": {"measured": _rates(run.single), "expected": _rates(run.expected_single)},
            "combined": {"measured": _rates(run.combined), "expected": _rates(run.expected_combined)},
        },
        "problems": [_problem_record(problem) for problem in run.problems],
    }


def _problem_record(problem: ProblemSummary) -> dict[str, Any]:
    return {
        "problem": problem.problem,
        "candidates": problem.candidates,
        "programs": problem.programs,
        "without_program": problem.without_program,
        "pass_rate": problem.pass_rate,
        "predicted_pass_rate": problem.predicted_pass_rate,
        "tests": problem.tests[TestStatus.USABLE],
        "tests_passed": problem.tests_passed,
        "accuracy": problem.accuracy,
        "p_correct": problem.p_correct,
        "abstained": problem.abstained,
        "p_gain": problem.test_effect.p_gain,
        "p_harm": problem.test_effect.p_harm,
        "harmful": problem.test_effect.harmful,
        "spent": dataclasses.asdict(problem.cost),
    }


def _rates(tests: TestQuality | None) -> dict[str, float] | None:
    return None if tests is None else {name: getattr(tests, name) for name in _RATES.values()}


def _rows(runs: Sequence[RunSummary]) -> list[tuple[str, list[str]]]:
    return [
        ("policy", [run.job.policy.name for run in runs]),
        ("selection", [run.job.selection for run in runs]),
        ("cap", [", ".join(f"{v:g} {d}" for d, v in run.cap.limits.items()) for run in runs]),
        ("problems", [str(len(run.problems)) for run in runs]),
        ("candidates", [str(sum(problem.candidates for problem in run.problems)) for run in runs]),
        ("  distinct programs", [str(sum(problem.programs for problem in run.problems)) for run in runs]),
        ("  answers without a program", [str(run.without_program) for run in runs]),
        ("pass@1 (no tests)", [_percent(run.pass_at_1) for run in runs]),
        ("accuracy of the picks", [_percent(run.accuracy) for run in runs]),
        ("  at most (a correct candidate exists)", [_percent(run.solvable) for run in runs]),
        ("  estimated without labels", [_percent(run.estimated_accuracy) for run in runs]),
        ("  problems without a wrong candidate", [_alike(run, 1) for run in runs]),
        ("  problems without a right candidate", [_alike(run, 0) for run in runs]),
        ("coverage (picks not abstained)", [_percent(run.coverage) for run in runs]),
        ("  accuracy of these", [_percent(run.covered_accuracy) for run in runs]),
        ("problems that more tests may harm", [str(len(run.harmful)) for run in runs]),
        *((f"spent {name}", [_amount(getattr(run.spent, name)) for run in runs]) for name in QUANTITIES),
        *(
            [("spent prompt tokens", [_amount(run.prompt_tokens) for run in runs])]
            if any(run.prompt_tokens for run in runs)
            else []
        ),
        ("spent usd", [_dollars(run.usd) if run.cap.prices else "–" for run in runs]),
        *_losses(runs),
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
        ("passes counted on trust", [str(run.passes_on_trust) for run in runs]),
        ("pairs cut off early", [str(run.cut_pairs) for run in runs]),
        *_reason_rows(runs),
        *_quality_rows("single tests", [(run.single, run.expected_single) for run in runs]),
        *_quality_rows("tests combined", [(run.combined, run.expected_combined) for run in runs]),
        ("output groups per problem", [_one_decimal(run.output_groups) for run in runs]),
    ]


def _reason_rows(runs: Sequence[RunSummary]) -> list[tuple[str, list[str]]]:
    """Number of pairs of the most frequent reasons of unconfirmed and errored pairs."""
    of_all = sum((run.reasons for run in runs), ReasonCounts())
    return [
        (f"{verdict.name.lower()}: {sentence}", [str(run.reasons[verdict, sentence]) for run in runs])
        for verdict in COUNTED_VERDICTS
        for sentence in _most_frequent(of_all, verdict)
    ]


def _most_frequent(counts: ReasonCounts, verdict: Verdict) -> list[str]:
    return [sentence for (of, sentence), _ in counts.most_common() if of is verdict][:_SHOWN]


def _losses(runs: Sequence[RunSummary]) -> list[tuple[str, list[str]]]:
    """Rows of lost leases and of tasks that did not end; none if there is nothing to show."""
    rows = [
        *(
            (f"  lost {name} (charged)", [getattr(run.lost, name) for run in runs])
            for name in ("tokens", "cpu_seconds", "gpu_seconds")
        ),
        ("tasks cut off by the cap", [run.cut_tasks for run in runs]),
        ("tasks that the infrastructure failed", [run.lost_tasks for run in runs]),
    ]
    return [(name, [_amount(amount) for amount in amounts]) for name, amounts in rows if any(amounts)]


def _quality_rows(
    which: str, runs: Sequence[tuple[TestQuality | None, TestQuality | None]]
) -> list[tuple[str, list[str]]]:
    """Rates of tests as measured, and in brackets as estimated without labels."""
    return [
        (
            f"{which}: {name}",
            [
                f"{_percent(getattr(measured, rate) if measured else None)} "
                f"({_percent(getattr(expected, rate) if expected else None)})"
                for measured, expected in runs
            ],
        )
        for name, rate in _RATES.items()
    ]


def _percent(share: float | None) -> str:
    return format_percent(share, " %")


def _alike(run: RunSummary, pass_rate: int) -> str:
    """Number of problems whose candidates are all right (1) or all wrong (0); a dash without labels."""
    if run.pass_at_1 is None:
        return "–"
    return str(sum(problem.pass_rate == pass_rate for problem in run.judged_alike))


def _one_decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _dollars(value: float) -> str:
    """Amount in US dollars; less than one with four decimals."""
    return f"{value:.4f}" if 0 < value < 1 else _amount(value)


def _amount(value: float) -> str:
    if math.isnan(value):
        return "unknown"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"

"""The page's index: what all views but that of one problem show."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from testbudget.analysis.verdict_reasons import count_reasons
from testbudget.analysis.view.finished_run import FinishedRun
from testbudget.analysis.view.problem_columns import number, problem_columns, verdict_counts
from testbudget.analysis.view.run_course import closed_counts, grant_series, limiting_shares, pool_series
from testbudget.analysis.view.spending_curve import accuracy_by_tests, quantities_of, spending_curve
from testbudget.rewards.bootstrap import Interval, bootstrap_means, intervals
from testbudget.traces.records import (
    QUANTITIES,
    Cost,
    TestStatus,
    execution_cost,
    generation_cost,
    inputs_cost,
)

FORMAT = 1
"""Version of the data in a page; its program refuses another one."""

_REASONS = 8  # most frequent reasons of each verdict
_NORMAL_95 = 1.96  # standard errors on either side
_SEED = 0


def run_index(runs: Sequence[FinishedRun], title: str) -> dict[str, Any]:
    """Index of a page of runs.

    Args:
        runs: at least one; their names differ.
        title: name of the problems.

    Returns:
        ``v`` (``FORMAT``), ``kind`` ("runs"), ``title``, ``ids`` and ``entry`` of all problems, ``runs``
        (see :func:`_run`), and ``diffs``: for each pair of runs the names of both, the difference of their
        accuracies on the labelled problems that they share, its interval, and the number of problems.
    """
    ids = list(dict.fromkeys(problem for run in runs for problem in run.trace.problems))
    entries = {id_: problem.entry_point or "" for run in runs for id_, problem in run.texts.items()}
    shown = [_run(run, ids) for run in runs]
    return {
        "v": FORMAT,
        "kind": "runs",
        "title": title,
        "ids": ids,
        "entry": [entries.get(id_, "") for id_ in ids],
        "runs": shown,
        "diffs": [_difference(a, b) for a in shown for b in shown if a is not b],
    }


def _run(run: FinishedRun, ids: Sequence[str]) -> dict[str, Any]:
    """Facts and figures of a run; null where unknown."""
    columns = problem_columns(run, ids)
    return {
        "name": run.name,
        **_facts(run),
        **_figures(columns),
        **_spending(run),
        "curve": _curve(run),
        "pools": pool_series(run.pools),
        "limits": {kind: number(share) for kind, share in limiting_shares(run.pools).items()},
        "course": grant_series(run),
        "closed": closed_counts(run),
        "status": _statuses(run),
        "verdicts": verdict_counts(columns),
        "reasons": _reasons(run),
        "cols": columns,
    }


def _facts(run: FinishedRun) -> dict[str, Any]:
    info, job = run.info, run.job
    return {
        "policy": job.policy.name,
        "selection": job.selection,
        "seed": job.seed,
        "confidence": run.confidence_models.source,
        "trust": job.execution.trust,
        "job": (run.directory / "job.yaml").read_text(encoding="utf-8", errors="replace"),
        "started": info and info.started,
        "finished": info and info.finished,
        "resumes": len(info.resumes) if info else 0,
        "command": " ".join(info.command) if info else None,
        "host": info and " · ".join(str(value) for value in info.host.values()),
        "versions": dict(info.versions) if info else {},
        "models": {name: dict(facts) for name, facts in info.models.items()} if info else {},
        "sources": {name: Path(place).name for name, place in info.sources.items()} if info else {},
        "cut_tasks": len(info.cut_tasks) if info else 0,
        "lost_tasks": len(info.lost_tasks) if info else 0,
    }


def _figures(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Accuracy, its bounds and its estimate, each with its interval where it has one."""
    accuracy = np.array([value for value in columns["acc"] if value is not None])
    rates = np.array(
        [
            [right / count, right > 0]
            for right, count in zip(columns["right"], columns["cands"], strict=True)
            if right is not None and count
        ]
    )
    estimated = np.array([value for value in columns["p"] if value is not None])
    of_one = _interval(accuracy)
    error = _NORMAL_95 * float(np.sqrt((estimated * (1 - estimated)).sum())) / max(len(estimated), 1)
    mean = float(estimated.mean()) if len(estimated) else float("nan")
    return {
        "labelled": len(accuracy),
        "acc": number(of_one.value),
        "ci": [number(of_one.low), number(of_one.high)],
        "pass1": number(float(rates[:, 0].mean())) if len(rates) else None,
        "ceiling": number(float(rates[:, 1].mean())) if len(rates) else None,
        "estimated": number(mean),
        "estimated_ci": [number(max(0.0, mean - error)), number(min(1.0, mean + error))],
        "covered": sum(flag == 0 for flag in columns["abstained"]),
    }


def _spending(run: FinishedRun) -> dict[str, Any]:
    """``cap``, ``prices``, ``spent`` and ``lost`` by quantity; dollars and prompt tokens where charged."""
    cost = Cost.total(
        part
        for seen in run.trace.problems.values()
        for part in (
            seen.extraction,
            *map(generation_cost, seen.tests.values()),
            *map(execution_cost, seen.verdicts.values()),
            inputs_cost(seen.written_inputs),
        )
    )
    prices = run.job.unit_prices
    spent = {name: number(getattr(cost, name), 2) for name in QUANTITIES}
    lost: dict[str, Any] = {}
    if run.info is not None and run.info.books:
        books = run.info.books
        spent = {name: number(amount, 4) for name, amount in books["spent"].items()}
        lost = {name: number(amount, 4) for name, amount in books["lost"].items() if amount}
    if not any(prices.values()):
        spent.pop("usd", None)
    if not spent.get("prompt_tokens"):
        spent.pop("prompt_tokens", None)
    return {"cap": dict(run.job.cap.limits), "prices": dict(prices), "spent": spent, "lost": lost}


def _curve(run: FinishedRun) -> dict[str, list[float | int | None]]:
    points = spending_curve(run, accuracy_by_tests(run))
    columns: dict[str, list[float | int | None]] = {}
    for point in points:
        row = {name: number(value, 3) for name, value in quantities_of(point, run.job.unit_prices).items()}
        row |= {
            "acc": number(point.accuracy.value),
            "lo": number(point.accuracy.low),
            "hi": number(point.accuracy.high),
            "est": number(point.estimated),
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def _reasons(run: FinishedRun) -> list[list[Any]]:
    """Most frequent reasons of unconfirmed, errored and uncompiled pairs: verdict, sentence, pairs."""
    counts = sum(
        (
            count_reasons(seen.verdicts, run.reasons.get(problem))
            for problem, seen in run.trace.problems.items()
        ),
        Counter(),
    )
    shown: Counter[int] = Counter()
    found = []
    for (verdict, sentence), pairs in counts.most_common():
        shown[verdict] += 1
        if shown[verdict] <= _REASONS:
            found.append([int(verdict), sentence, pairs])
    return found


def _statuses(run: FinishedRun) -> dict[str, int]:
    """Number of generated tests by status."""
    counts = Counter(
        record.status for seen in run.trace.problems.values() for record in seen.tests.values()
    )
    return {str(status): counts[status] for status in TestStatus}


def _difference(a: dict[str, Any], b: dict[str, Any]) -> list[Any]:
    pairs = zip(a["cols"]["acc"], b["cols"]["acc"], strict=True)
    gains = np.array([y - x for x, y in pairs if x is not None and y is not None])
    found = _interval(gains)
    return [
        a["name"],
        b["name"],
        number(found.value),
        number(found.low),
        number(found.high),
        len(gains),
    ]


def _interval(values: np.ndarray[Any, np.dtype[np.float64]]) -> Interval:
    """Mean with its bootstrap interval; NaN without values."""
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    return intervals(bootstrap_means(values[np.newaxis, :, np.newaxis], _SEED))[0]

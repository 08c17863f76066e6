"""Columns of the page's index: one number for each problem of a run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.view.finished_run import FinishedRun
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.quality import accuracy_of_winners
from testbudget.scheduler.forked_map import forked_map
from testbudget.scheduler.picks import Pick
from testbudget.traces.records import (
    Cost,
    DistinctPrograms,
    TestStatus,
    VerdictRecord,
    execution_cost,
    generation_cost,
    inputs_cost,
)
from testbudget.traces.trace import ProblemTrace

_AT_ONCE = 64  # problems that a process takes at a time
DIGITS = 4
"""Decimals of shares and probabilities on the page."""


def problem_columns(run: FinishedRun, problems: Sequence[str]) -> dict[str, list[Any]]:
    """Columns by name, one entry for each of the problems; null where the run lacks it or nobody knows.

    Args:
        run: the run.
        problems: ids of all problems of the page.

    Returns:
        ``pick`` (candidate), ``tied`` candidates, ``tests`` generated, ``usable`` of them, ``passed`` by
        the pick, ``p`` (p_correct), ``acc`` (accuracy in [0, 1]), ``right`` candidates, ``cands``,
        ``programs``, ``groups`` (output groups), ``pickgroup`` (candidates in the pick's group),
        ``predicted`` pass rate, ``gain`` and ``harm`` (p_gain, p_harm), ``harmful``, ``abstained``,
        ``closed`` (reason), ``noprogram`` (answers without one), ``cut`` and ``trusted`` pairs, ``ver``
        (pairs by verdict, not run last), ``kinds`` (see :func:`kinds_of_tests`), and cost: ``tokens``,
        ``execs``, ``cpu``, ``gpu``.
    """

    def row(problem: str) -> dict[str, Any] | None:
        return _row(run, problem) if problem in run.trace.problems else None

    rows = [*forked_map(row, problems, at_once=_AT_ONCE)]
    names = next((list(row) for row in rows if row is not None), [])
    return {name: [None if row is None else row[name] for row in rows] for name in names}


def _row(run: FinishedRun, problem: str) -> dict[str, Any]:
    seen, pick = run.trace.problems[problem], run.picks.get(problem)
    distinct = DistinctPrograms.among(seen.candidates)
    table = _verdict_table(seen, len(distinct.representatives))
    counts = np.bincount(np.minimum(table, len(Verdict)).ravel(), minlength=len(Verdict) + 1)
    reasons = run.reasons.get(problem)
    cost = seen.extraction + Cost.total(
        [
            *map(generation_cost, seen.tests.values()),
            *map(execution_cost, seen.verdicts.values()),
            inputs_cost(seen.written_inputs),
        ]
    )
    return {
        **_of_pick(pick, seen),
        **_of_groups(run, problem, pick, distinct),
        "tests": len(seen.tests),
        "usable": sum(record.status is TestStatus.USABLE for record in seen.tests.values()),
        "voting": len(seen.verdicts),
        "right": None if seen.correct is None else int(seen.correct.sum()),
        "cands": len(seen.candidates),
        "programs": len(distinct.representatives),
        "predicted": number(seen.predicted_pass_rate),
        "closed": run.closed_because.get(problem),
        "noprogram": sum(not record.has_program for record in seen.candidates),
        "cut": 0 if reasons is None else int(np.count_nonzero(reasons.cut_at)),
        "trusted": sum(_passed_on_trust(record) for record in seen.verdicts.values()),
        "ver": counts.tolist(),
        "kinds": None if seen.correct is None else kinds_of_tests(table, seen.correct, distinct),
        "tokens": number(cost.tokens, 0),
        "execs": number(cost.executions, 0),
        "cpu": number(cost.cpu_seconds, 3),
        "gpu": number(cost.gpu_seconds, 3),
    }


def _of_pick(pick: Pick | None, seen: ProblemTrace) -> dict[str, Any]:
    if pick is None:
        names = ("pick", "tied", "passed", "p", "acc", "gain", "harm", "harmful", "abstained")
        return dict.fromkeys(names)
    return {
        "pick": pick.candidate,
        "tied": len(pick.winners),
        "passed": pick.tests_passed,
        "p": number(pick.p_correct),
        "acc": None if seen.correct is None else number(accuracy_of_winners(pick.winners, seen.correct)),
        "gain": number(pick.test_effect.p_gain),
        "harm": number(pick.test_effect.p_harm),
        "harmful": int(pick.test_effect.harmful),
        "abstained": int(pick.abstained),
    }


def _of_groups(
    run: FinishedRun, problem: str, pick: Pick | None, distinct: DistinctPrograms
) -> dict[str, int | None]:
    if pick is None or problem not in run.outputs:
        return {"groups": None, "pickgroup": None}
    groups = run.groups(problem)[distinct.inverse]
    sizes = np.bincount(groups)
    return {"groups": len(sizes), "pickgroup": int(sizes[groups[pick.candidate]])}


def kinds_of_tests(
    table: NDArray[np.uint8], correct: NDArray[np.bool_], distinct: DistinctPrograms
) -> list[int] | None:
    """Number of tests by their effect on right and wrong candidates, over the pairs that were run.

    Args:
        table: uint8 (tests, programs), verdicts.
        correct: bool (candidates,), the labels.
        distinct: maps candidates to programs.

    Returns:
        Tests that accept every right candidate and reject a wrong one; that accept all; that reject some
        right ones; that reject every right one. None if all candidates are labelled alike.
    """
    if correct.all() or not correct.any():
        return None
    right = correct[distinct.representatives]
    found = [0, 0, 0, 0]
    for row in table:
        accepted, ran = row == Verdict.PASSED, row != NOT_RUN
        kept, known = (accepted & right).sum(), (ran & right).sum()
        if not known or not (ran & ~right).any():
            continue
        if kept == known:
            found[0 if (ran & ~accepted & ~right).any() else 1] += 1
        else:
            found[2 if kept else 3] += 1
    return found


def number(value: float | None, digits: int = DIGITS) -> float | int | None:
    """A number for the page, rounded; null for NaN and infinity."""
    if value is None or not math.isfinite(value):
        return None
    rounded = round(float(value), digits)
    return int(rounded) if rounded.is_integer() else rounded


def verdict_counts(columns: Mapping[str, list[Any]]) -> list[int]:
    """Number of pairs of the whole run by verdict, those not run last."""
    rows = [row for row in columns["ver"] if row is not None]
    table = np.array(rows, np.int64).reshape(-1, len(Verdict) + 1)
    return [int(count) for count in table.sum(axis=0)]


def _verdict_table(seen: ProblemTrace, programs: int) -> NDArray[np.uint8]:
    """Verdicts of the executed tests, uint8 (tests, programs), in the order of their indices."""
    rows = [record.verdicts for _, record in sorted(seen.verdicts.items())]
    return np.array(rows, np.uint8).reshape(-1, programs)


def _passed_on_trust(record: VerdictRecord) -> int:
    return int(np.count_nonzero(record.same_process & (record.verdicts == Verdict.PASSED)))

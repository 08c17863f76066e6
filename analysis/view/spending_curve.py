"""Accuracy of a run's picks against what it had spent, in the order of its grants."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.view.finished_run import FinishedRun
from testbudget.rewards.bootstrap import Interval
from testbudget.rewards.confidence.model import p_correct_of_pick
from testbudget.rewards.seeds import problem_fold
from testbudget.scheduler.forked_map import forked_map
from testbudget.traces.records import QUANTITIES, Cost

POINTS = 60
"""Most points of a curve."""

_AT_ONCE = 64  # problems that a process takes at a time
_RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """State of a run after some of its tests.

    Attributes:
        spent: cost so far.
        accuracy: share of correct picks over the labelled problems, with its interval over the choice of
            problems; NaN without labels.
        estimated: mean p_correct over the problems, as assessed so far; NaN if nothing is recorded.
    """

    spent: Cost
    accuracy: Interval
    estimated: float


def spending_curve(
    run: FinishedRun, accuracy_by_tests: Mapping[str, NDArray[np.float64]]
) -> list[CurvePoint]:
    """The points of a run's curve, from before the first test to the end.

    Picks after part of the tests use the statistics of the whole batch at the same number of tests. The
    last point is that of the finished run.

    Args:
        run: the run.
        accuracy_by_tests: float64 (usable tests + 1,) of each labelled problem, accuracy of its pick after
            that many tests.
    """
    order = granted_tests(run)
    ends = {round(len(order) * k / POINTS) for k in range(POINTS + 1)}
    position = {problem: k for k, problem in enumerate(accuracy_by_tests)}
    now = np.array([curve[0] for curve in accuracy_by_tests.values()])
    usable, costs = dict.fromkeys(run.trace.problems, 0), run.costs_of_tests
    estimates = [*_first_estimates(run), *_estimates(run)]
    points, rows, spent = [], [], Cost()
    for place in range(len(order) + 1):
        if place in ends:
            points.append((spent, _estimate_after(estimates, place, len(order), run)))
            rows.append(now.copy())
        if place == len(order):
            break
        problem, test = order[place]
        cost, votes = costs[problem][test]
        spent = spent + cost
        if votes:
            usable[problem] += 1
            if problem in position:
                now[position[problem]] = accuracy_by_tests[problem][usable[problem]]
    found = _intervals(np.array(rows))
    return [
        CurvePoint(cost, accuracy, estimated)
        for (cost, estimated), accuracy in zip(points, found, strict=True)
    ]


def granted_tests(run: FinishedRun) -> list[tuple[str, int]]:
    """Problem and index of each generated test in the order of the grants.

    Without recorded grants: the first test of each problem, then the second, and so on.
    """
    granted = [
        (grant.problem, test)
        for grant in run.grants
        for test in range(grant.first, grant.first + grant.tests)
        if test in run.costs_of_tests[grant.problem]
    ]
    known = set(granted)
    rest = [
        (problem, test)
        for problem, tests in run.costs_of_tests.items()
        for test in tests
        if (problem, test) not in known
    ]
    return granted + sorted(rest, key=lambda item: item[1])


def accuracy_by_tests(run: FinishedRun) -> dict[str, NDArray[np.float64]]:
    """Accuracy of the pick of each labelled problem after its first m usable tests, for every m."""

    def accuracy(problem: str) -> NDArray[np.float64] | None:
        correct, evidence = run.trace.problems[problem].correct, run.picks[problem].evidence
        if correct is None:
            return None
        won = run.rule.winners_after(evidence, range(evidence.votes.tests + 1))
        after: NDArray[np.float64] = (won @ correct.astype(np.float64)) / won.sum(axis=1)
        return after

    problems = [*run.picks]
    found = zip(problems, forked_map(accuracy, problems, at_once=_AT_ONCE), strict=True)
    return {problem: values for problem, values in found if values is not None}


def _intervals(rows: NDArray[np.float64]) -> list[Interval]:
    """Means over problems of float64 (points, problems), with bootstrap intervals over problems."""
    problems = rows.shape[1]
    if not problems:
        return [Interval(math.nan, math.nan, math.nan)] * len(rows)
    weights = np.random.default_rng(0).multinomial(
        problems, np.full(problems, 1 / problems), size=_RESAMPLES
    )
    resampled = weights @ rows.T / problems
    return [Interval.of(row.mean(), column) for row, column in zip(rows, resampled.T, strict=True)]


def _first_estimates(run: FinishedRun) -> Iterator[tuple[int, str, float]]:
    """Number 0, problem and p_correct of each pick before the first test."""
    for problem, pick in run.picks.items():
        seen, evidence = run.trace.problems[problem], pick.evidence.first(0)
        p_correct = p_correct_of_pick(
            evidence,
            run.rule,
            run.rule.winners(evidence),
            run.confidence_models,
            problem_fold(seen.content_hash),
            seen.predicted_pass_rate,
        )
        yield 0, problem, p_correct


def _estimates(run: FinishedRun) -> Sequence[tuple[int, str, float]]:
    """Tests granted until each assessment, its problem, and its p_correct."""
    ends = {}
    total = 0
    for grant in run.grants:
        total += grant.tests
        ends[grant.problem, grant.first + grant.tests] = total
    return sorted(
        (ends[row.problem, row.tests], row.problem, row.p_correct)
        for row in run.assessments
        if row.tests is not None and (row.problem, row.tests) in ends and not math.isnan(row.p_correct)
    )


def _estimate_after(
    estimates: Sequence[tuple[int, str, float]], tests: int, all_tests: int, run: FinishedRun
) -> float:
    """Mean p_correct of the picks by then; of the final picks at the end; NaN without any assessment."""
    if tests == all_tests:
        return float(np.mean([pick.p_correct for pick in run.picks.values()])) if run.picks else math.nan
    if not run.assessments:
        return math.nan
    latest = {problem: p_correct for end, problem, p_correct in estimates if end <= tests}
    return float(np.mean(list(latest.values()))) if latest else math.nan


def quantities_of(point: CurvePoint, prices: Mapping[str, float]) -> dict[str, float]:
    """Spending at a point of the curve, by quantity; in US dollars too if there are prices."""
    amounts = {name: getattr(point.spent, name) for name in QUANTITIES}
    return amounts | ({"usd": point.spent.usd(prices)} if any(prices.values()) else {})

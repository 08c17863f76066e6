"""Policies, each with each predictor, at several caps and over many orders of a finished run's tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies import Uniform, create_policy
from rewards.errors import UserError
from rewards.selection import selection_rule
from scheduler.analysis.compare.comparison import USUAL_CAPS, Cell, Comparison, Fifth, Line, Settings
from scheduler.analysis.compare.predictors import (
    PassRates,
    Predictor,
    labels,
    measured_pass_rates,
    predictor,
)
from scheduler.analysis.compare.simulation import Course, Recording, allocate, shuffled
from scheduler.analysis.compare.statistics import Estimate, quintiles, resampled_means, where_reached
from scheduler.behaviours import read_behaviours
from scheduler.ledger import Cost
from scheduler.trace import Trace


def compare(trace: Trace, settings: Settings, learned: PassRates) -> Comparison:
    """Plays every policy with every predictor under every cap, on recorded tests in random orders.

    Args:
        trace: a finished run with labels.
        settings: see there.
        learned: predicts pass rates for the predictor ``on``.

    Raises:
        UserError: settings that are unknown or cannot be had with this run.
    """
    if settings.orders < 1:
        raise UserError(f"orders must be at least 1 but got {settings.orders}")
    rule = selection_rule(settings.selection)
    behaviours = read_behaviours(trace.directory) if rule.uses_outputs else {}
    recordings = [
        Recording.of(seen, correct, behaviours.get(problem))
        for (problem, seen), correct in zip(trace.problems.items(), labels(trace), strict=True)
    ]
    available = np.asarray([recording.tests for recording in recordings])
    usual = [tests for tests in USUAL_CAPS if tests <= _most(available)] or USUAL_CAPS[:1]
    caps = {tests: _cap(tests, available) for tests in settings.tests_per_problem or usual}
    contestants = _contestants(trace, settings, learned)
    orders = [
        shuffled(recordings, rule, np.random.default_rng([settings.seed, order]))
        for order in range(settings.orders)
    ]
    cells = {
        tests: [_play(one, cap, orders, available, settings.seed) for one in contestants]
        for tests, cap in caps.items()
    }
    curve = [
        _play_equal(tests * len(available), orders, available) for tests in range(_most(available) + 1)
    ]
    return _summary(trace, settings, [one.line for one in contestants], cells, curve)


@dataclass(frozen=True, slots=True, eq=False)
class _Contestant:
    line: Line
    predictor: Predictor | None


@dataclass(frozen=True, slots=True, eq=False)
class _Played:
    """What came out in each order.

    Attributes:
        accuracy: float64 (orders, problems).
        spent: float64 (orders, problems, ``QUANTITIES``).
    """

    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]

    @property
    def tests(self) -> float:
        """Per problem."""
        return float(self.spent[:, :, 0].mean())


def _most(available: NDArray[np.int_]) -> int:
    """Tests per problem that were recorded."""
    return int(available.mean())


def _cap(tests: float, available: NDArray[np.int_]) -> int:
    """The cap of a whole run."""
    cap = round(tests * len(available))
    if not 1 <= cap <= available.sum():
        raise UserError(
            f"tests_per_problem must come to between 1 and the {available.sum()} tests that were recorded "
            f"of {len(available)} problems but {tests:g} come to {cap}"
        )
    return cap


def _contestants(trace: Trace, settings: Settings, learned: PassRates) -> list[_Contestant]:
    names = list(dict.fromkeys([Uniform.name, *settings.policies]))
    believing = [
        create_policy(name, 1, pass_rates=np.ones(1), max_tests=1).uses_pass_rates for name in names
    ]
    predictors = [
        predictor(name, trace, learned, orders=settings.orders, seed=settings.seed)
        for name in (dict.fromkeys(settings.predictors) if any(believing) else ())
    ]
    found = []
    for name, believes in zip(names, believing, strict=True):
        if believes:
            found += [_Contestant(Line(name, one.name, one.correlation), one) for one in predictors]
        else:
            found.append(_Contestant(Line(name, None, 0.0), None))
    return found


def _play(
    contestant: _Contestant,
    cap: int,
    orders: Sequence[Sequence[Course]],
    available: NDArray[np.int_],
    seed: int,
) -> _Played:
    grants = []
    for order, courses in enumerate(orders):
        believed = None if contestant.predictor is None else contestant.predictor.pass_rates[order]
        policy = create_policy(
            contestant.line.policy,
            len(available),
            pass_rates=believed,
            max_tests=available,
            seed=seed + order,
        )
        grants.append(allocate(policy, cap, courses))
    return _played(orders, grants)


def _play_equal(cap: int, orders: Sequence[Sequence[Course]], available: NDArray[np.int_]) -> _Played:
    """Equal budgets, which are the same in every order where the cap has no remainder."""
    policy = Uniform(len(available), max_tests=available)
    return _played(orders, [allocate(policy, cap, orders[0])] * len(orders))


def _played(orders: Sequence[Sequence[Course]], grants: Sequence[NDArray[np.int32]]) -> _Played:
    seen = [
        list(zip(courses, granted, strict=True)) for courses, granted in zip(orders, grants, strict=True)
    ]
    return _Played(
        np.array([[course.accuracy[tests] for course, tests in row] for row in seen]),
        np.array([[course.spent[tests] for course, tests in row] for row in seen]),
    )


def _summary(
    trace: Trace,
    settings: Settings,
    lines: Sequence[Line],
    cells: Mapping[float, Sequence[_Played]],
    curve: Sequence[_Played],
) -> Comparison:
    truth = measured_pass_rates(trace)
    flat = [cell for of_cap in cells.values() for cell in of_cap]
    accuracy = np.stack([played.accuracy for played in [*flat, *curve]], axis=2)
    # One row of plain means before the resampled ones: every figure is computed with its interval.
    means = np.concatenate(
        [
            accuracy.mean(axis=(0, 1))[np.newaxis],
            resampled_means(accuracy, np.random.default_rng(settings.seed)),
        ]
    )
    curve_means, curve_tests = means[:, len(flat) :], np.asarray([played.tests for played in curve])
    fifths = quintiles(truth)
    done: list[Cell] = []
    for tests, of_cap in cells.items():
        of_equal = means[:, len(done)]
        for line, played in zip(lines, of_cap, strict=True):
            of_cell = means[:, len(done)]
            done.append(
                Cell(
                    line,
                    tests,
                    _estimate(of_cell),
                    _estimate(of_cell - of_equal),
                    Cost(*played.spent.mean(axis=(0, 1)).tolist()),
                    _estimate(where_reached(of_cell, curve_means, curve_tests)),
                    tuple(_fifth(fifth, truth, played, of_cap[0]) for fifth in fifths),
                )
            )
    return Comparison(
        trace.directory.resolve().name,
        settings,
        len(truth),
        float(truth.mean()),
        float((truth > 0).mean()),
        tuple(lines),
        tuple(done),
        tuple(zip(curve_tests.tolist(), curve_means[0].tolist(), strict=True)),
    )


def _estimate(values: NDArray[np.float64]) -> Estimate:
    return Estimate.of(values[0], values[1:])


def _fifth(
    problems: NDArray[np.intp], truth: NDArray[np.float64], played: _Played, equal: _Played
) -> Fifth:
    accuracy = played.accuracy[:, problems]
    return Fifth(
        float(truth[problems].mean()),
        float(played.spent[:, problems, 0].mean()),
        float(accuracy.mean()),
        float((accuracy - equal.accuracy[:, problems]).mean()),
    )

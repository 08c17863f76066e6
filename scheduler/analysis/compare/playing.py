"""Policies, each with each predictor and rule, at several caps and over many orders of a run's tests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from policies import POLICY_NAMES, Uniform, policy_class
from rewards.errors import UserError
from rewards.selection import selection_rule
from scheduler.analysis.compare.comparison import STATIC_RULES, USUAL_CAPS, Comparison, Settings
from scheduler.analysis.compare.contestants import Contestant, check_playable, contestants
from scheduler.analysis.compare.fields import Field, fields
from scheduler.analysis.compare.figures import Curve, Figures, Played
from scheduler.analysis.compare.predictors import (
    PassRates,
    Predictor,
    labels,
    measured_pass_rates,
    predictor,
)
from scheduler.analysis.compare.simulation import Recording, allocate
from scheduler.behaviours import read_behaviours
from scheduler.trace import Trace

USUAL_PREDICTORS = ("on", "oracle")
_FEW_ORDERS = 10


def compare(trace: Trace, settings: Settings, learned: PassRates) -> Comparison:
    """Plays every policy with every predictor and rule under every cap, on tests in random orders.

    Args:
        trace: a finished run with labels.
        settings: see there.
        learned: predicts pass rates for the predictor ``on``.

    Raises:
        UserError: settings that are unknown or cannot be had with this run.
    """
    if settings.orders < 1:
        raise UserError(f"orders must be at least 1 but got {settings.orders}")
    rules = {name: selection_rule(name) for name in (*settings.selections, *STATIC_RULES)}
    behaviours = read_behaviours(trace.directory) if any(r.uses_outputs for r in rules.values()) else {}
    recordings = [
        Recording.of(seen, correct, behaviours.get(problem))
        for (problem, seen), correct in zip(trace.problems.items(), labels(trace), strict=True)
    ]
    available = np.asarray([recording.tests for recording in recordings])
    caps = _caps(settings.tests_per_problem, available)
    policies, predictors, notes = _entered(trace, settings, learned, available)
    counts = [int(tests) for tests in caps if tests == int(tests) and tests <= available.mean()]
    made = fields(
        recordings,
        list(rules.values()),
        orders=settings.orders,
        counts=counts or [1],
        z=settings.z,
        seed=settings.seed,
    )
    entered = [
        contestant
        for field in made
        for contestant in contestants(
            field,
            policies if field.rule.name in settings.selections else (),
            predictors,
            settings.seed,
        )
    ]
    extraction = np.asarray([astuple(seen.extraction) for seen in trace.problems.values()])
    played = {
        tests: [_play(one, cap, available, extraction, settings.seed) for one in entered]
        for tests, cap in caps.items()
    }
    truth = measured_pass_rates(trace)
    lines = [contestant.line for contestant in entered]
    found = Figures(lines, played, _curve(made, available), truth, settings.seed)
    return Comparison(
        trace.directory.resolve().name,
        settings,
        tuple(caps),
        len(truth),
        float(truth.mean()),
        float((truth > 0).mean()),
        tuple(lines),
        found.cells(),
        found.reference(),
        found.races(made, counts),
        tuple(notes),
    )


def _caps(tests_per_problem: Sequence[float] | None, available: NDArray[np.int_]) -> dict[float, int]:
    """The cap of a whole run, for each of the caps as tests per problem."""
    usual = [tests for tests in USUAL_CAPS if tests <= available.mean()] or USUAL_CAPS[:1]
    caps = {}
    for tests in tests_per_problem or usual:
        caps[tests] = round(tests * len(available))
        if not 1 <= caps[tests] <= available.sum():
            raise UserError(
                f"tests_per_problem must come to between 1 and the {available.sum()} tests that were "
                f"recorded of {len(available)} problems but {tests:g} come to {caps[tests]}"
            )
    return caps


def _entered(
    trace: Trace, settings: Settings, learned: PassRates, available: NDArray[np.int_]
) -> tuple[Sequence[str], list[Predictor], list[str]]:
    """Policies and predictors, and what of the usual ones is left out, since this run does not allow it."""
    notes: list[str] = []

    def allowed(names: Sequence[str], check: Callable[[str], None]) -> Iterator[str]:
        for name in names:
            try:
                check(name)
            except UserError as error:
                notes.append(f"left out {name}: {error}")
            else:
                yield name

    def check_policy(name: str) -> None:
        check_playable(name, settings.orders, available)

    if settings.policies is None:
        policies = list(allowed(POLICY_NAMES, check_policy))
    else:
        policies = list(settings.policies)
        for name in policies:
            check_policy(name)
    knowing = [name for name in policies if policy_class(name).uses_curves]
    if knowing and settings.orders < _FEW_ORDERS:
        notes.append(
            f"{knowing[0]} knows a problem by {settings.orders - 1} other orders alone, which is little"
        )
    if not any(policy_class(name).uses_pass_rates for name in policies):
        return policies, [], notes
    made: dict[str, Predictor] = {}

    def make(name: str) -> None:
        made[name] = predictor(name, trace, learned, orders=settings.orders, seed=settings.seed)

    if settings.predictors is None:
        list(allowed(USUAL_PREDICTORS, make))
    else:
        for name in settings.predictors:
            make(name)
    return policies, list(made.values()), notes


def _play(
    contestant: Contestant,
    cap: int,
    available: NDArray[np.int_],
    extraction: NDArray[np.float64],
    seed: int,
) -> Played:
    field = contestant.field
    grants = np.stack(
        [
            allocate(contestant.policy(order, available, seed), cap, courses)
            for order, courses in enumerate(field.courses)
        ]
    )
    accuracy = np.take_along_axis(field.accuracy, grants[:, :, np.newaxis], axis=2)[:, :, 0]
    spent = np.take_along_axis(field.spent, grants[:, :, np.newaxis, np.newaxis], axis=2)[:, :, 0]
    if contestant.predictor is not None and contestant.predictor.reads_states:
        spent = spent + extraction
    return Played(accuracy, spent)


def _curve(made: Sequence[Field], available: NDArray[np.int_]) -> Curve:
    """Equal budgets: the same in every order, as their caps have no remainder."""
    accuracy: dict[str, list[NDArray[np.float64]]] = {field.rule.name: [] for field in made}
    spent = []
    everyone = np.arange(len(available))
    for tests in range(int(available.mean()) + 1):
        policy = Uniform(len(available), max_tests=available)
        granted = allocate(policy, tests * len(available), made[0].courses[0])
        for field in made:
            accuracy[field.rule.name].append(field.accuracy[:, everyone, granted])
        spent.append(made[0].spent[:, everyone, granted].mean(axis=(0, 1)))
    return Curve({name: np.stack(points, axis=2) for name, points in accuracy.items()}, np.stack(spent))

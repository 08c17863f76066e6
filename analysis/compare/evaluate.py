"""Who plays: policies with what they believe and know, made anew for each order of the tests."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.compare.results import (
    DEFAULT_CAPS,
    STATIC_RULES,
    CompareSettings,
    Comparison,
    CurveIntervals,
    CurveResult,
    PolicyResult,
    RuleCurve,
)
from testbudget.difficulty.predictions import (
    PassRates,
    Predictor,
    correct_labels,
    make_predictor,
    measured_pass_rates,
)
from testbudget.policies.base import Policy
from testbudget.policies.gain_model import GainModels
from testbudget.policies.registry import POLICY_NAMES, create_policy, policy_class
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.fitting.gain_models import GainObservations, cross_fit_gain
from testbudget.scheduler.simulation import PermutedRuns, permuted_runs
from testbudget.traces.learning_curves import RecordedTests, allocate_recorded
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class PolicySetup:
    """A line that plays on the field of its rule."""

    line: CurveResult
    field: PermutedRuns
    predictor: Predictor | None
    school: "GainModelCache"

    def policy(self, order: int, available: NDArray[np.int_], seed: int) -> Policy:
        """A fresh policy for one order of the tests.

        What it was taught of a problem comes from other problems, and what it knows of a problem's curve
        from other orders.

        Args:
            order: its number.
            available: shape (problems,), tests that each problem has.
            seed: the policy's own derives from it and the order.
        """
        kind = policy_class(self.line.policy)
        rates = None if self.predictor is None else self.predictor.pass_rates[order]
        return create_policy(
            kind.name,
            len(available),
            pass_rates=rates,
            gain_models=self.school.gain_models(rates) if kind.uses_gain_models else None,
            curves=_curves(self.field, order, available) if kind.uses_curves else None,
            max_tests=available,
            seed=seed + order,
        )


class GainModelCache:
    """Teaches what a field has to teach, each problem what the problems of other folds show.

    Args:
        field: of one rule.
        seed: of the folds.
    """

    def __init__(self, field: PermutedRuns, seed: int) -> None:
        self._field, self._seed = field, seed
        self._taught: dict[bytes | None, GainModels] = {}

    def gain_models(self, pass_rates: NDArray[np.float64] | None) -> GainModels:
        """The lessons, learned with these predictions."""
        told = None if pass_rates is None else pass_rates.tobytes()
        if told not in self._taught:
            self._taught[told] = cross_fit_gain(self._observed, pass_rates, seed=self._seed)
        return self._taught[told]

    @functools.cached_property
    def _observed(self) -> GainObservations:
        return GainObservations.of(self._field.learning_curves, self._field.rule.name)


def policy_setups(
    field: PermutedRuns, policies: Sequence[str], predictors: Sequence[Predictor], seed: int
) -> list[PolicySetup]:
    """The lines on one field: equal budgets first, then each policy with each predictor that it can use."""
    school, found = GainModelCache(field, seed), []
    for name in dict.fromkeys([Uniform.name, *policies]):
        if not policy_class(name).uses_pass_rates:
            found.append(PolicySetup(CurveResult(field.rule.name, name, None, 0.0), field, None, school))
            continue
        for one in predictors:
            line = CurveResult(field.rule.name, name, one.name, one.correlation)
            found.append(PolicySetup(line, field, one, school))
    return found


def check_policy(policy: str, orders: int, available: NDArray[np.int_]) -> None:
    """Whether a policy can be had.

    Args:
        policy: its name.
        orders: of the tests.
        available: shape (problems,), tests that each problem has.

    Raises:
        UserError: there is none of that name, or it needs more than this.
    """
    kind = policy_class(policy)
    if kind.uses_curves and orders < 2:
        raise UserError(f"orders must be at least 2 for the policy '{policy}' but got {orders}")
    if kind.uses_gain_models and (len(available) < 2 or available.max() < 2):
        raise UserError(
            f"the policy '{policy}' must have other problems to learn from, with at least 2 tests, but got "
            f"{len(available)} problems with at most {available.max()} tests"
        )


def _curves(field: PermutedRuns, order: int, available: NDArray[np.int_]) -> NDArray[np.float64]:
    """Each problem's mean accuracy in the other orders, NaN behind its last test."""
    curves: NDArray[np.float64] = np.delete(field.accuracy, order, axis=0).mean(axis=0)
    curves[np.arange(curves.shape[1]) > available[:, np.newaxis]] = np.nan
    return curves


# ~ """Policies, each with each predictor and rule, at several caps and over many orders of a run's tests."""


DEFAULT_PREDICTORS = ("on", "oracle")
_FEW_ORDERS = 10


def compare(trace: Trace, settings: CompareSettings, learned: PassRates) -> Comparison:
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
    outputs_by_problem = (
        read_outputs(trace.directory) if any(r.uses_outputs for r in rules.values()) else {}
    )
    recordings = [
        RecordedTests.of(seen, correct, outputs_by_problem.get(problem))
        for (problem, seen), correct in zip(trace.problems.items(), correct_labels(trace), strict=True)
    ]
    available = np.asarray([recording.tests for recording in recordings])
    caps = _caps(settings.tests_per_problem, available)
    policies, predictors, notes = _entered(trace, settings, learned, available)
    counts = [int(tests) for tests in caps if tests == int(tests) and tests <= available.mean()]
    made = permuted_runs(
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
        for contestant in policy_setups(
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
    found = CurveIntervals(lines, played, _curve(made, available), truth, settings.seed)
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
    usual = [tests for tests in DEFAULT_CAPS if tests <= available.mean()] or DEFAULT_CAPS[:1]
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
    trace: Trace, settings: CompareSettings, learned: PassRates, available: NDArray[np.int_]
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

    def check(name: str) -> None:
        check_policy(name, settings.orders, available)

    if settings.policies is None:
        policies = list(allowed(POLICY_NAMES, check))
    else:
        policies = list(settings.policies)
        for name in policies:
            check(name)
    knowing = [name for name in policies if policy_class(name).uses_curves]
    if knowing and settings.orders < _FEW_ORDERS:
        notes.append(
            f"{knowing[0]} knows a problem by {settings.orders - 1} other orders alone, which is little"
        )
    if not any(policy_class(name).uses_pass_rates for name in policies):
        return policies, [], notes
    made: dict[str, Predictor] = {}

    def make(name: str) -> None:
        made[name] = make_predictor(name, trace, learned, orders=settings.orders, seed=settings.seed)

    if settings.predictors is None:
        list(allowed(DEFAULT_PREDICTORS, make))
    else:
        for name in settings.predictors:
            make(name)
    return policies, list(made.values()), notes


def _play(
    contestant: PolicySetup,
    cap: int,
    available: NDArray[np.int_],
    extraction: NDArray[np.float64],
    seed: int,
) -> PolicyResult:
    field = contestant.field
    grants = np.stack(
        [
            allocate_recorded(contestant.policy(order, available, seed), cap, courses)
            for order, courses in enumerate(field.learning_curves)
        ]
    )
    accuracy = np.take_along_axis(field.accuracy, grants[:, :, np.newaxis], axis=2)[:, :, 0]
    spent = np.take_along_axis(field.spent, grants[:, :, np.newaxis, np.newaxis], axis=2)[:, :, 0]
    if contestant.predictor is not None and contestant.predictor.reads_states:
        spent = spent + extraction
    return PolicyResult(accuracy, spent)


def _curve(made: Sequence[PermutedRuns], available: NDArray[np.int_]) -> RuleCurve:
    """Equal budgets: the same in every order, as their caps have no remainder."""
    accuracy: dict[str, list[NDArray[np.float64]]] = {field.rule.name: [] for field in made}
    spent = []
    everyone = np.arange(len(available))
    for tests in range(int(available.mean()) + 1):
        policy = Uniform(len(available), max_tests=available)
        granted = allocate_recorded(policy, tests * len(available), made[0].learning_curves[0])
        for field in made:
            accuracy[field.rule.name].append(field.accuracy[:, everyone, granted])
        spent.append(made[0].spent[:, everyone, granted].mean(axis=(0, 1)))
    return RuleCurve({name: np.stack(points, axis=2) for name, points in accuracy.items()}, np.stack(spent))

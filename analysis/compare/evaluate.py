"""Static and dynamic allocation compared at many caps, on recorded tests in random permutations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.compare.intervals import CurveIntervals, PolicyResult, UniformCurve
from testbudget.analysis.compare.results import Combination, PolicyComparison
from testbudget.analysis.compare.settings import (
    DEFAULT_CAPS,
    DEFAULT_PREDICTORS,
    STATIC_RULES,
    CompareSettings,
)
from testbudget.analysis.gain_model_cache import GainModelCache
from testbudget.analysis.permuted_runs import PermutedRuns, permuted_runs
from testbudget.difficulty.predictions import (
    PassRateFunction,
    PredictedPassRates,
    measured_pass_rates,
    predict_pass_rates,
)
from testbudget.policies.base import PolicyContext
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.simulation import Pace, simulate
from testbudget.traces.agreement import score_of, with_reference_picks
from testbudget.traces.learning_curves import RecordedTests
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.trace import Trace, correct_labels

_FEW_PERMUTATIONS = 10


@dataclass(frozen=True, slots=True, eq=False)
class PolicySetup:
    """A combination with everything that its policy reads.

    Attributes:
        combination: rule, policy and predictor.
        runs: recorded tests in many permutations under the rule.
        predictor: None for a policy that uses no pass rates.
        gain_models: gain models under the rule.
    """

    combination: Combination
    runs: PermutedRuns
    predictor: PredictedPassRates | None
    gain_models: GainModelCache

    @property
    def reads_rule(self) -> bool:
        """True if budgets depend on the selection rule."""
        kind = policy_class(self.combination.policy)
        return not kind.static or not kind.needs <= {"pass_rates"}

    def granted(
        self, caps: Sequence[int], available: NDArray[np.int_], seed: int, slots: int
    ) -> NDArray[np.int64]:
        """Budgets at each cap in each permutation of the tests, int64 (caps, permutations, problems).

        Args:
            caps: numbers of tests in total.
            available: int (problems,), number of recorded tests.
            seed: the order among problems with equal values is drawn from ``seed + permutation``.
            slots: tests that the simulated run generates at the same time; 0 for rounds.
        """
        pace = Pace.of_slots(slots, len(available))
        permutations = len(self.runs.learning_curves)
        granted = np.empty((len(caps), permutations, len(available)), np.int64)
        for permutation in range(permutations):
            context = self._context(permutation, available, seed)
            policy = create_policy(self.combination.policy, context)
            for number, cap in enumerate(caps):
                if not policy.static and number:
                    policy = create_policy(self.combination.policy, context)
                granted[number, permutation] = simulate(
                    policy,
                    cap,
                    available,
                    self.runs.estimates[permutation],
                    pace=pace,
                    seed=seed + permutation,
                )
        return granted

    def _context(self, permutation: int, available: NDArray[np.int_], seed: int) -> PolicyContext:
        """Inputs of the policy in one permutation.

        A problem's gain model is fitted on other problems. Its true curve is the mean over the other
        permutations.
        """
        needs = policy_class(self.combination.policy).needs
        rates = None if self.predictor is None else self.predictor.pass_rates[permutation]
        return PolicyContext(
            len(available),
            seed + permutation,
            available,
            rates,
            self.gain_models.cross_fitted(rates) if "gain_models" in needs else None,
            _mean_curves(self.runs, permutation, available) if "curves" in needs else None,
        )


def policy_setups(
    runs: PermutedRuns, policies: Sequence[str], predictors: Sequence[PredictedPassRates], seed: int
) -> list[PolicySetup]:
    """Combinations under one rule: equal budgets, then each policy with each predictor that it can use.

    Args:
        runs: recorded tests in many permutations under the rule.
        policies: names of the policies.
        predictors: predictors, for the policies that use pass rates.
        seed: seed of the folds of gain models.
    """
    gain_models = GainModelCache(lambda: runs.learning_curves, runs.rule.name, seed)
    found = []
    for name in dict.fromkeys([Uniform.name, *policies]):
        if "pass_rates" not in policy_class(name).needs:
            found.append(PolicySetup(Combination(runs.rule.name, name, None, 0.0), runs, None, gain_models))
            continue
        for predictor in predictors:
            combination = Combination(runs.rule.name, name, predictor.name, predictor.correlation)
            found.append(PolicySetup(combination, runs, predictor, gain_models))
    return found


def _check_policy(policy: str, permutations: int, available: NDArray[np.int_]) -> None:
    """Check that a policy can be evaluated on recorded tests.

    Args:
        policy: name of the policy.
        permutations: number of permutations of the tests.
        available: int (problems,), number of recorded tests.

    Raises:
        UserError: the name is unknown, or the policy needs more permutations, problems or tests.
    """
    kind = policy_class(policy)
    if "curves" in kind.needs and permutations < 2:
        raise UserError(f"permutations must be at least 2 for the policy '{policy}' but got {permutations}")
    if "gain_models" in kind.needs and (len(available) < 2 or available.max() < 2):
        raise UserError(
            f"the policy '{policy}' needs at least 2 problems with at least 2 tests for its gain model but "
            f"got {len(available)} problems with at most {available.max()} tests"
        )


def compare(trace: Trace, settings: CompareSettings, learned: PassRateFunction) -> PolicyComparison:
    """Evaluate every rule, policy and predictor at every cap, on tests in random permutations.

    Args:
        trace: a finished run. Without labels, picks are scored by their agreement with those of all tests.
        settings: rules, policies, predictors and caps.
        learned: function that predicts pass rates for the predictor ``learned``.

    Raises:
        UserError: only some problems have labels, or the run does not allow the settings.
    """
    score, trace = score_of(trace), with_reference_picks(trace)
    rules = {name: selection_rule(name) for name in (*settings.selections, *STATIC_RULES)}
    outputs_by_problem = (
        read_outputs(trace.directory) if any(rule.uses_outputs for rule in rules.values()) else {}
    )
    recorded = [
        RecordedTests.of(seen, correct, outputs_by_problem.get(problem))
        for (problem, seen), correct in zip(trace.problems.items(), correct_labels(trace), strict=True)
    ]
    available = np.asarray([one.tests for one in recorded])
    caps = _caps(settings.tests_per_problem, available)
    policies, predictors, notes = _policies_and_predictors(trace, settings, learned, available)
    counts = [int(tests) for tests in caps if tests == int(tests) and tests <= available.mean()]
    runs = permuted_runs(
        recorded,
        list(rules.values()),
        permutations=settings.permutations,
        counts=counts or [1],
        z=settings.z,
        seed=settings.seed,
    )
    setups = [
        setup
        for of_rule in runs
        for setup in policy_setups(
            of_rule,
            policies if of_rule.rule.name in settings.selections else (),
            predictors,
            settings.seed,
        )
    ]
    extraction = np.asarray([astuple(seen.extraction) for seen in trace.problems.values()])
    by_setup = [
        [_result(setup, granted, extraction) for granted in at_caps]
        for setup, at_caps in zip(setups, _budgets(setups, caps, available, settings), strict=True)
    ]
    results = dict(zip(caps, zip(*by_setup, strict=True), strict=True))
    truth = measured_pass_rates(trace)
    combinations = [setup.combination for setup in setups]
    figures = CurveIntervals(combinations, results, _uniform_curve(runs, available), truth, settings.seed)
    return PolicyComparison(
        run=trace.directory.resolve().name,
        score=score,
        settings=settings,
        caps=tuple(caps),
        problems=len(truth),
        pass_at_1=float(truth.mean()),
        solvable=float((truth > 0).mean()),
        combinations=tuple(combinations),
        grid=figures.grid(),
        reference_rules=figures.reference_rules(),
        eliminations=figures.eliminations(runs, counts),
        notes=tuple(notes),
        smallest_caps=() if settings.wanted is None else figures.smallest_caps(settings.wanted),
    )


def _caps(tests_per_problem: Sequence[float] | None, available: NDArray[np.int_]) -> dict[float, int]:
    """Cap of the whole run by cap per problem."""
    if not available.any():
        raise UserError(f"a comparison needs recorded tests but none of {len(available)} problems has any")
    default = [tests for tests in DEFAULT_CAPS if tests <= available.mean()] or DEFAULT_CAPS[:1]
    caps = {}
    for tests in tests_per_problem or default:
        caps[tests] = round(tests * len(available))
        if not 1 <= caps[tests] <= available.sum():
            raise UserError(
                f"tests_per_problem must come to between 1 and the {available.sum()} tests that were "
                f"recorded of {len(available)} problems but {tests:g} come to {caps[tests]}"
            )
    return caps


def _policies_and_predictors(
    trace: Trace, settings: CompareSettings, learned: PassRateFunction, available: NDArray[np.int_]
) -> tuple[Sequence[str], list[PredictedPassRates], list[str]]:
    """Policies, predictors, and notes on defaults that are left out for this run."""
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
        _check_policy(name, settings.permutations, available)

    if settings.policies is None:
        policies = list(allowed(POLICY_NAMES, check))
    else:
        policies = list(settings.policies)
        for name in policies:
            check(name)
    with_curves = [name for name in policies if "curves" in policy_class(name).needs]
    if with_curves and settings.permutations < _FEW_PERMUTATIONS:
        notes.append(
            f"{with_curves[0]} averages each problem's curve over only {settings.permutations - 1} other "
            "permutations"
        )
    if not any("pass_rates" in policy_class(name).needs for name in policies):
        return policies, [], notes
    made: dict[str, PredictedPassRates] = {}

    def make(name: str) -> None:
        made[name] = predict_pass_rates(
            name, trace, learned, permutations=settings.permutations, seed=settings.seed
        )

    if settings.predictors is None:
        list(allowed(DEFAULT_PREDICTORS, make))
    else:
        for name in settings.predictors:
            make(name)
    return policies, list(made.values()), notes


def _budgets(
    setups: Sequence[PolicySetup],
    caps: Mapping[float, int],
    available: NDArray[np.int_],
    settings: CompareSettings,
) -> Iterator[NDArray[np.int64]]:
    """Budgets of each setup, see ``PolicySetup.granted``; computed once for all rules if they read none."""
    known: dict[tuple[str, str | None], NDArray[np.int64]] = {}
    for setup in setups:
        key = setup.combination.policy, setup.combination.predictor
        if setup.reads_rule or key not in known:
            known[key] = setup.granted(list(caps.values()), available, settings.seed, settings.slots)
        yield known[key]


def _result(
    setup: PolicySetup, granted: NDArray[np.int64], extraction: NDArray[np.float64]
) -> PolicyResult:
    """Result of budgets, int64 (permutations, problems); hidden states that are read are charged."""
    runs = setup.runs
    accuracy = np.take_along_axis(runs.accuracy, granted[:, :, np.newaxis], axis=2)[:, :, 0]
    spent = np.take_along_axis(runs.spent, granted[:, :, np.newaxis, np.newaxis], axis=2)[:, :, 0]
    if setup.predictor is not None and setup.predictor.reads_states:
        spent = spent + extraction
    return PolicyResult(accuracy, spent)


def _uniform_curve(runs: Sequence[PermutedRuns], available: NDArray[np.int_]) -> UniformCurve:
    """Equal budgets. Whole numbers of tests leave no remainder, so budgets equal in all permutations."""
    accuracy: dict[str, list[NDArray[np.float64]]] = {of_rule.rule.name: [] for of_rule in runs}
    spent = []
    problems = np.arange(len(available))
    for tests in range(int(available.mean()) + 1):
        granted = simulate(Uniform(), tests * len(available), available)
        for of_rule in runs:
            accuracy[of_rule.rule.name].append(of_rule.accuracy[:, problems, granted])
        spent.append(runs[0].spent[:, problems, granted].mean(axis=(0, 1)))
    stacked = {name: np.stack(points, axis=2) for name, points in accuracy.items()}
    return UniformCurve(stacked, np.stack(spent))


def _mean_curves(runs: PermutedRuns, permutation: int, available: NDArray[np.int_]) -> NDArray[np.float64]:
    """Mean accuracy in the other permutations, float64 (problems, counts); NaN beyond the last test."""
    curves: NDArray[np.float64] = np.delete(runs.accuracy, permutation, axis=0).mean(axis=0)
    curves[np.arange(curves.shape[1]) > available[:, np.newaxis]] = np.nan
    return curves

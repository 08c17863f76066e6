"""Evaluation of choices on training and held-out problems. Nothing is fitted on held-out ones."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.compare.intervals import PolicyResult
from testbudget.analysis.gain_model_cache import GainModelCache
from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.space import Choice, SearchSpace, split_held_out
from testbudget.analysis.tune.space_file import own_space
from testbudget.difficulty.predictions import fitted_pass_rates
from testbudget.policies.base import PolicyContext
from testbudget.policies.gain_model import GainModelAssignment
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.simulation import Pace, PickEstimates, simulate
from testbudget.traces.agreement import with_reference_picks
from testbudget.traces.learning_curves import (
    LearningCurve,
    RecordedTests,
    compute_learning_curves,
    random_permutations,
)
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import QUANTITIES
from testbudget.traces.trace import Trace, correct_labels


class CurvesByRule:
    """Learning curves of some problems by rule and permutation, computed on first use.

    The problems make up a batch of their own. A pruned trial needs only some permutations.
    :class:`testbudget.analysis.permuted_runs.PermutedRuns` computes all permutations at once.

    Args:
        recorded: recorded tests of the problems.
        permutations: number of random permutations of the tests.
        seed: seed of the permutations.

    Attributes:
        available: intp (problems,), number of recorded tests.
        permutations: number of permutations.
    """

    def __init__(self, recorded: Sequence[RecordedTests], permutations: int, seed: int) -> None:
        self.available = np.asarray([one.tests for one in recorded])
        self.permutations = permutations
        self._recorded = recorded
        self._drawn = [
            random_permutations(recorded, np.random.default_rng([seed, number]))
            for number in range(permutations)
        ]
        self._curves: list[dict[str, list[LearningCurve]]] = [{} for _ in range(permutations)]
        self._spent: list[list[NDArray[np.float64]]] = [[] for _ in range(permutations)]

    def curves(self, rule: str, permutation: int) -> list[LearningCurve]:
        """Learning curves in one permutation, by problem."""
        known = self._curves[permutation]
        if rule not in known:
            drawn = self._drawn[permutation]
            known[rule] = compute_learning_curves(self._recorded, drawn, selection_rule(rule))
        return known[rule]

    def all_curves(self, rule: str) -> list[list[LearningCurve]]:
        """Learning curves by permutation, then by problem."""
        return [self.curves(rule, permutation) for permutation in range(self.permutations)]

    def result(self, rule: str, permutation: int, granted: NDArray[np.integer]) -> PolicyResult:
        """Accuracy and cost of budgets in one permutation.

        Args:
            rule: name of the selection rule.
            permutation: number of the permutation.
            granted: int (problems,), tests of each problem.
        """
        curves = self.curves(rule, permutation)
        if not self._spent[permutation]:
            self._spent[permutation] = [curve.spent for curve in curves]
        tests = granted.tolist()
        return PolicyResult(
            np.array([curve.accuracy[m] for curve, m in zip(curves, tests, strict=True)]),
            np.stack([spent[m] for spent, m in zip(self._spent[permutation], tests, strict=True)]),
        )


class ChoiceEvaluator:
    """Evaluation of choices on some problems. Results are kept.

    Args:
        curves: learning curves of the problems.
        pass_rates: float64 (problems,), predicted without these problems' own labels; None without any.
        gain_models: function that gives the gain models of these problems under a rule.
        extraction: float64 (problems, ``QUANTITIES``), cost of hidden states, charged to policies that use
            pass rates.
        seed: the order among problems with equal values is drawn from ``seed + permutation``.
        slots: tests that the simulated run generates at the same time; 0 for rounds.
    """

    def __init__(
        self,
        curves: CurvesByRule,
        pass_rates: NDArray[np.float64] | None,
        gain_models: Callable[[str], GainModelAssignment],
        extraction: NDArray[np.float64],
        seed: int,
        slots: int,
    ) -> None:
        self.curves = curves
        self._pass_rates, self._gain_models, self._extraction = pass_rates, gain_models, extraction
        self._seed, self._pace = seed, Pace.of_slots(slots, len(curves.available))
        self._results: dict[tuple[Choice, int], PolicyResult] = {}

    def evaluate(self, choice: Choice, permutation: int) -> PolicyResult:
        """Result of a choice in one permutation of the tests."""
        key = choice, permutation
        if key not in self._results:
            self._results[key] = self._evaluate(choice, permutation)
        return self._results[key]

    def evaluate_all(self, choice: Choice) -> PolicyResult:
        """Result of a choice in all permutations."""
        results = [self.evaluate(choice, number) for number in range(self.curves.permutations)]
        return PolicyResult(
            np.stack([one.accuracy for one in results]), np.stack([one.spent for one in results])
        )

    def _evaluate(self, choice: Choice, permutation: int) -> PolicyResult:
        kind, available = policy_class(choice.policy), self.curves.available
        most = available if choice.max_tests is None else np.minimum(available, choice.max_tests)
        context = PolicyContext(
            len(available),
            self._seed + permutation,
            most,
            self._pass_rates,
            self._gain_models(choice.selection) if "gain_models" in kind.needs else None,
        )
        granted = simulate(
            create_policy(choice.policy, context),
            round(choice.tests_per_problem * len(available)),
            most,
            PickEstimates.of(self.curves.curves(choice.selection, permutation)),
            pace=self._pace,
            seed=self._seed + permutation,
            min_tests=choice.min_tests,
        )
        result = self.curves.result(choice.selection, permutation, granted)
        if "pass_rates" in kind.needs:
            return PolicyResult(result.accuracy, result.spent + self._extraction)
        return result


@dataclass(frozen=True, slots=True, eq=False)
class PreparedStudy:
    """A search space with evaluators for training and held-out problems.

    Attributes:
        space: choices that may be tried.
        training: evaluator for the training problems; predictors and gain models are cross-fitted.
        held_out: evaluator for the held-out problems; all models are fitted on the training problems.
        notes: sentences about policies that cannot be tried with this run.
    """

    space: SearchSpace
    training: ChoiceEvaluator
    held_out: ChoiceEvaluator
    notes: tuple[str, ...]


def prepare_study(trace: Trace, settings: StudySettings) -> PreparedStudy:
    """Split the problems of a finished run and prepare an evaluator for each part.

    Raises:
        UserError: only some problems have labels, or there are too few problems or tests for the settings.
    """
    trace = with_reference_picks(trace)
    correct = correct_labels(trace)
    hashes = [seen.content_hash for seen in trace.problems.values()]
    training, held_out = split_held_out(hashes, settings.held_out, settings.seed)
    available = np.asarray([len(seen.tests) for seen in trace.problems.values()])
    max_cap = min(float(available[side].mean()) for side in (training, held_out))
    cap = 1 if settings.tests_per_problem is None else settings.tests_per_problem
    if not 1 / len(held_out) <= cap <= max_cap:
        raise UserError(
            f"tests_per_problem must be at least 1 test in all and at most the {max_cap:g} that were "
            f"recorded of each problem but got {cap:g}"
        )
    own_values = own_space(settings.space)
    if own_values.policies is not None:
        settings = settings.model_copy(update={"policies": own_values.policies})
    policies, notes = _policies(trace, settings, int(available.max()))
    space = SearchSpace(
        tuple(map(_known_rule, own_values.selections or settings.selections)),
        policies,
        settings.tests_per_problem,
        int(max_cap),
        int(available.max()),
        own_values.numbers,
    )
    outputs_by_problem = read_outputs(trace.directory)
    recorded = [
        RecordedTests.of(seen, its_correct, outputs_by_problem.get(problem))
        for (problem, seen), its_correct in zip(trace.problems.items(), correct, strict=True)
    ]
    if settings.saves is not None:
        column = QUANTITIES.index(settings.saves)
        if any(np.isnan(one.costs[:, column]).any() for one in recorded):
            raise UserError(
                f"pareto must be a quantity that was measured but some {settings.saves} are unknown in "
                f"{trace.directory}"
            )
    rates = None
    if any("pass_rates" in policy_class(name).needs for name in policies):
        rates = _predicted(trace, training, settings.seed)
    extraction = np.asarray([astuple(seen.extraction) for seen in trace.problems.values()])
    own, others = (
        CurvesByRule([recorded[position] for position in side], settings.permutations, settings.seed)
        for side in (training, held_out)
    )
    rates_of_training = None if rates is None else rates[training]

    @functools.cache
    def gain_models(rule: str) -> GainModelCache:
        return GainModelCache(lambda: own.all_curves(rule), rule, settings.seed)

    def cross_fitted(rule: str) -> GainModelAssignment:
        return gain_models(rule).cross_fitted(rates_of_training)

    def shared(rule: str) -> GainModelAssignment:
        return gain_models(rule).shared(rates_of_training, len(held_out))

    return PreparedStudy(
        space,
        ChoiceEvaluator(
            own, rates_of_training, cross_fitted, extraction[training], settings.seed, settings.slots
        ),
        ChoiceEvaluator(
            others,
            None if rates is None else rates[held_out],
            shared,
            extraction[held_out],
            settings.seed,
            settings.slots,
        ),
        notes,
    )


def _known_rule(name: str) -> str:
    selection_rule(name)
    return name


def _predicted(trace: Trace, training: NDArray[np.intp], seed: int) -> NDArray[np.float64]:
    """Predicted pass rates of all problems, float64 (problems,), fitted on the training problems.

    Those of training problems are cross-fitted.
    """
    assert trace.hidden_states is not None
    problems = list(trace.problems.items())
    known = Trace(
        trace.directory,
        dict(problems[position] for position in training),
        trace.hidden_states.of_problems(training.tolist()),
    )
    hashes = [seen.content_hash for _, seen in problems]
    return fitted_pass_rates([trace.directory], trace.hidden_states, hashes, (), lambda _: known, seed).mean


def _policies(trace: Trace, settings: StudySettings, most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Policies that a job for this run can have, and notes on those that are left out."""
    reasons = {}
    predicted = [seen.predicted_pass_rate for seen in trace.problems.values()]
    for name in settings.policies or POLICY_NAMES:
        kind = policy_class(name)
        if "curves" in kind.needs:
            reasons[name] = "it knows the truth, which no run does"
        elif "pass_rates" in kind.needs and trace.hidden_states is None:
            reasons[name] = f"it needs a predictor, and {trace.directory} has no hidden states for one"
        elif "pass_rates" in kind.needs and "gain_models" in kind.needs and np.isnan(predicted).any():
            reasons[name] = f"it is fitted on predicted pass rates, and {trace.directory} has none"
        elif "gain_models" in kind.needs and most < 2:
            reasons[name] = f"it is fitted on the effect of a second test, and {trace.directory} has none"
    if settings.policies is None:
        noted = [name for name in reasons if "curves" not in policy_class(name).needs]
        usable = tuple(name for name in POLICY_NAMES if name not in reasons)
        return usable, tuple(f"left out {name}: {reasons[name]}" for name in noted)
    if reasons:
        name, reason = next(iter(reasons.items()))
        raise UserError(
            f"policies must be ones that a job for this run can have but got '{name}': {reason}"
        )
    return tuple(dict.fromkeys((Uniform.name, *settings.policies))), ()

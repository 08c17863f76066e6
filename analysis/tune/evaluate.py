"""Problems in random orders of their tests, under any rule: worked out when first asked for, then kept."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.analysis.tune.space import Choice, Space, StudySettings, split_held_out
from testbudget.difficulty.predictions import correct_labels, fitted_pass_rates
from testbudget.policies.gain_model import GainModels
from testbudget.policies.registry import POLICY_NAMES, create_policy, policy_class
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.fitting.gain_models import GainObservations, cross_fit_gain, fit_gain
from testbudget.traces.learning_curves import (
    LearningCurve,
    RecordedTests,
    allocate_recorded,
    learning_curves,
    random_permutations,
)
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import QUANTITIES
from testbudget.traces.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class TrialOutcome:
    """What budgets come to in one order, or in all of them with one more axis in front.

    Attributes:
        accuracy: float64 (problems,), of the picks.
        spent: float64 (problems, ``QUANTITIES``).
    """

    accuracy: NDArray[np.float64]
    spent: NDArray[np.float64]


class TrialRuns:
    """Some problems of a finished run. They make up a batch of their own.

    Args:
        recordings: of the problems.
        orders: how many random orders of the tests.
        seed: of the orders.

    Attributes:
        available: intp (problems,), recorded tests.
        orders: how many.
    """

    def __init__(self, recordings: Sequence[RecordedTests], orders: int, seed: int) -> None:
        self.available = np.asarray([recording.tests for recording in recordings])
        self.orders = orders
        self._recordings = recordings
        self._drawn = [
            random_permutations(recordings, np.random.default_rng([seed, order])) for order in range(orders)
        ]
        self._courses: list[dict[str, list[LearningCurve]]] = [{} for _ in range(orders)]
        self._spent: list[list[NDArray[np.float64]]] = [[] for _ in range(orders)]

    def learning_curves(self, rule: str, order: int) -> list[LearningCurve]:
        """What every number of tests comes to in one order, by problem."""
        known = self._courses[order]
        if rule not in known:
            drawn = self._drawn[order]
            known[rule] = learning_curves(self._recordings, drawn, selection_rule(rule))
        return known[rule]

    def outcome(self, rule: str, order: int, granted: NDArray[np.integer]) -> TrialOutcome:
        """What budgets, shape (problems,), come to in one order."""
        of_order = self.learning_curves(rule, order)
        if not self._spent[order]:
            self._spent[order] = [course.spent for course in of_order]
        tests = granted.tolist()
        return TrialOutcome(
            np.array([course.accuracy[m] for course, m in zip(of_order, tests, strict=True)]),
            np.stack([spent[m] for spent, m in zip(self._spent[order], tests, strict=True)]),
        )


# ~ """Who tries a choice on which problems, and with which beliefs: nothing is learned from held-out ones."""


class TrialPolicy:
    """Tries choices on some problems, and remembers what became of them.

    Args:
        ground: of the problems.
        pass_rates: shape (problems,), predicted without these problems' own labels; None without any.
        lessons: what other problems taught, under a rule.
        extraction: shape (problems, ``QUANTITIES``), what hidden states cost those who use pass rates.
        seed: of the policies, with the number of the order.
    """

    def __init__(
        self,
        ground: TrialRuns,
        pass_rates: NDArray[np.float64] | None,
        gain_models: Callable[[str], GainModels],
        extraction: NDArray[np.float64],
        seed: int,
    ) -> None:
        self.ground = ground
        self._pass_rates, self._gain_models, self._extraction = pass_rates, gain_models, extraction
        self._seed = seed
        self._played: dict[tuple[Choice, int], TrialOutcome] = {}

    def play(self, choice: Choice, order: int) -> TrialOutcome:
        """What a choice comes to in one order of the tests."""
        if (choice, order) not in self._played:
            self._played[choice, order] = self._play(choice, order)
        return self._played[choice, order]

    def play_all(self, choice: Choice) -> TrialOutcome:
        """What it comes to in all orders, these being the first axis."""
        played = [self.play(choice, order) for order in range(self.ground.orders)]
        return TrialOutcome(
            np.stack([one.accuracy for one in played]), np.stack([one.spent for one in played])
        )

    def _play(self, choice: Choice, order: int) -> TrialOutcome:
        kind, available = policy_class(choice.policy), self.ground.available
        most = available if choice.max_tests is None else np.minimum(available, choice.max_tests)
        policy = create_policy(
            choice.policy,
            len(available),
            pass_rates=self._pass_rates,
            gain_models=self._gain_models(choice.selection) if kind.uses_gain_models else None,
            min_tests=choice.min_tests,
            max_tests=most,
            seed=self._seed + order,
        )
        cap = round(choice.tests_per_problem * len(available))
        granted = allocate_recorded(policy, cap, self.ground.learning_curves(choice.selection, order))
        outcome = self.ground.outcome(choice.selection, order, granted)
        if kind.uses_pass_rates:
            return TrialOutcome(outcome.accuracy, outcome.spent + self._extraction)
        return outcome


@dataclass(frozen=True, slots=True, eq=False)
class RuleRuns:
    """Where a study takes place.

    Attributes:
        space: what may be tried.
        training: on the problems to choose by; what it believes of a problem comes from the others.
        held_out: on the others; what it believes comes from the training problems alone.
        notes: what of the usual cannot be tried with this run, in sentences.
    """

    space: Space
    training: TrialPolicy
    held_out: TrialPolicy
    notes: tuple[str, ...]


def prepare_trials(trace: Trace, settings: StudySettings) -> RuleRuns:
    """The field of a study on a finished run with labels.

    Raises:
        UserError: the run has no labels, or too few problems or tests for what is asked.
    """
    settings.check()
    correct = correct_labels(trace)
    hashes = [seen.content_hash for seen in trace.problems.values()]
    training, held_out = split_held_out(hashes, settings.held_out, settings.seed)
    available = np.asarray([len(seen.tests) for seen in trace.problems.values()])
    most_cap = min(float(available[side].mean()) for side in (training, held_out))
    cap = 1 if settings.tests_per_problem is None else settings.tests_per_problem
    if not 1 / len(held_out) <= cap <= most_cap:
        raise UserError(
            f"tests_per_problem must be at least 1 test in all and at most the {most_cap:g} that were "
            f"recorded of each problem but got {cap:g}"
        )
    policies, notes = _policies(trace, settings, int(available.max()))
    space = Space(
        settings.selections, policies, settings.tests_per_problem, int(most_cap), int(available.max())
    )
    outputs_by_problem = read_outputs(trace.directory)
    recordings = [
        RecordedTests.of(seen, its_correct, outputs_by_problem.get(problem))
        for (problem, seen), its_correct in zip(trace.problems.items(), correct, strict=True)
    ]
    if settings.pareto is not None:
        column = QUANTITIES.index(settings.pareto)
        if any(np.isnan(recording.costs[:, column]).any() for recording in recordings):
            raise UserError(
                f"pareto must be a quantity that was measured but of {settings.pareto} some are unknown in "
                f"{trace.directory}"
            )
    rates = None
    if any(policy_class(name).uses_pass_rates for name in policies):
        rates = _predicted(trace, training, settings.seed)
    grounds = [
        TrialRuns([recordings[position] for position in side], settings.orders, settings.seed)
        for side in (training, held_out)
    ]
    school = _School(grounds[0], None if rates is None else rates[training], settings.seed)
    extraction = np.asarray([astuple(seen.extraction) for seen in trace.problems.values()])
    players = [
        TrialPolicy(
            ground, None if rates is None else rates[side], gain_models, extraction[side], settings.seed
        )
        for ground, side, gain_models in (
            (grounds[0], training, school.for_its_own),
            (grounds[1], held_out, functools.partial(school.for_others, problems=len(held_out))),
        )
    ]
    return RuleRuns(space, players[0], players[1], notes)


class _School:
    """Teaches what the training problems show under each rule."""

    def __init__(self, ground: TrialRuns, pass_rates: NDArray[np.float64] | None, seed: int) -> None:
        self._ground, self._pass_rates, self._seed = ground, pass_rates, seed
        self._observed: dict[str, GainObservations] = {}
        self._own: dict[str, GainModels] = {}

    def for_its_own(self, rule: str) -> GainModels:
        """For each training problem what those of the other folds taught."""
        if rule not in self._own:
            self._own[rule] = cross_fit_gain(self._seen(rule), self._pass_rates, seed=self._seed)
        return self._own[rule]

    def for_others(self, rule: str, problems: int) -> GainModels:
        """For other problems what all of them taught."""
        everyone = np.arange(len(self._ground.available))
        return GainModels.shared(fit_gain(self._seen(rule), everyone, self._pass_rates), problems)

    def _seen(self, rule: str) -> GainObservations:
        if rule not in self._observed:
            orders = [self._ground.learning_curves(rule, order) for order in range(self._ground.orders)]
            self._observed[rule] = GainObservations.of(orders, rule)
        return self._observed[rule]


def _predicted(trace: Trace, training: NDArray[np.intp], seed: int) -> NDArray[np.float64]:
    """Pass rates of all problems, learned from training problems, of each of these without itself."""
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
    """Those that a job for this run can have, and why others are left out."""
    notes = {}
    for name in settings.policies or POLICY_NAMES:
        kind = policy_class(name)
        believed = [seen.predicted_pass_rate for seen in trace.problems.values()]
        if kind.uses_curves:
            notes[name] = "it knows the truth, which no run does"
        elif kind.uses_pass_rates and trace.hidden_states is None:
            notes[name] = f"it needs a predictor, and {trace.directory} has no hidden states for one"
        elif kind.uses_pass_rates and kind.uses_gain_models and np.isnan(believed).any():
            notes[name] = f"it learns from runs that predicted pass rates, as {trace.directory} did not"
        elif kind.uses_gain_models and most < 2:
            notes[name] = f"it learns what a second test does, and {trace.directory} has single tests"
    if settings.policies is None:
        curious = [name for name in notes if not policy_class(name).uses_curves]
        usable = tuple(name for name in POLICY_NAMES if name not in notes)
        return usable, tuple(f"left out {name}: {notes[name]}" for name in curious)
    if notes:
        name, reason = next(iter(notes.items()))
        raise UserError(f"policies must be such as a job for this run can have but got '{name}': {reason}")
    return tuple(dict.fromkeys((Uniform.name, *settings.policies))), ()

"""Who tries a choice on which problems, and with which beliefs: nothing is learned from held-out ones."""

import functools
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from policies import POLICY_NAMES, Lessons, Uniform, create_policy, policy_class
from rewards.errors import UserError
from scheduler.analysis.compare.predictors import labels
from scheduler.analysis.compare.simulation import Recording, allocate
from scheduler.analysis.tune.ground import Ground, Outcome
from scheduler.analysis.tune.settings import Settings
from scheduler.analysis.tune.space import Choice, Space
from scheduler.analysis.tune.splitting import split
from scheduler.behaviours import read_behaviours
from scheduler.beliefs import learned_pass_rates
from scheduler.ledger import QUANTITIES
from scheduler.lessons.learning import Observations, cross_learned, learn
from scheduler.trace import Trace


class Player:
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
        ground: Ground,
        pass_rates: NDArray[np.float64] | None,
        lessons: Callable[[str], Lessons],
        extraction: NDArray[np.float64],
        seed: int,
    ) -> None:
        self.ground = ground
        self._pass_rates, self._lessons, self._extraction = pass_rates, lessons, extraction
        self._seed = seed
        self._played: dict[tuple[Choice, int], Outcome] = {}

    def play(self, choice: Choice, order: int) -> Outcome:
        """What a choice comes to in one order of the tests."""
        if (choice, order) not in self._played:
            self._played[choice, order] = self._play(choice, order)
        return self._played[choice, order]

    def play_all(self, choice: Choice) -> Outcome:
        """What it comes to in all orders, these being the first axis."""
        played = [self.play(choice, order) for order in range(self.ground.orders)]
        return Outcome(np.stack([one.accuracy for one in played]), np.stack([one.spent for one in played]))

    def _play(self, choice: Choice, order: int) -> Outcome:
        kind, available = policy_class(choice.policy), self.ground.available
        most = available if choice.max_tests is None else np.minimum(available, choice.max_tests)
        policy = create_policy(
            choice.policy,
            len(available),
            pass_rates=self._pass_rates,
            lessons=self._lessons(choice.selection) if kind.uses_lessons else None,
            min_tests=choice.min_tests,
            max_tests=most,
            seed=self._seed + order,
        )
        cap = round(choice.tests_per_problem * len(available))
        granted = allocate(policy, cap, self.ground.courses(choice.selection, order))
        outcome = self.ground.outcome(choice.selection, order, granted)
        if kind.uses_pass_rates:
            return Outcome(outcome.accuracy, outcome.spent + self._extraction)
        return outcome


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Where a study takes place.

    Attributes:
        space: what may be tried.
        training: on the problems to choose by; what it believes of a problem comes from the others.
        held_out: on the others; what it believes comes from the training problems alone.
        notes: what of the usual cannot be tried with this run, in sentences.
    """

    space: Space
    training: Player
    held_out: Player
    notes: tuple[str, ...]


def prepare(trace: Trace, settings: Settings) -> Field:
    """The field of a study on a finished run with labels.

    Raises:
        UserError: the run has no labels, or too few problems or tests for what is asked.
    """
    settings.check()
    correct = labels(trace)
    hashes = [seen.content_hash for seen in trace.problems.values()]
    training, held_out = split(hashes, settings.held_out, settings.seed)
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
    behaviours = read_behaviours(trace.directory)
    recordings = [
        Recording.of(seen, its_correct, behaviours.get(problem))
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
        Ground([recordings[position] for position in side], settings.orders, settings.seed)
        for side in (training, held_out)
    ]
    school = _School(grounds[0], None if rates is None else rates[training], settings.seed)
    extraction = np.asarray([astuple(seen.extraction) for seen in trace.problems.values()])
    players = [
        Player(ground, None if rates is None else rates[side], lessons, extraction[side], settings.seed)
        for ground, side, lessons in (
            (grounds[0], training, school.for_its_own),
            (grounds[1], held_out, functools.partial(school.for_others, problems=len(held_out))),
        )
    ]
    return Field(space, players[0], players[1], notes)


class _School:
    """Teaches what the training problems show under each rule."""

    def __init__(self, ground: Ground, pass_rates: NDArray[np.float64] | None, seed: int) -> None:
        self._ground, self._pass_rates, self._seed = ground, pass_rates, seed
        self._observed: dict[str, Observations] = {}
        self._own: dict[str, Lessons] = {}

    def for_its_own(self, rule: str) -> Lessons:
        """For each training problem what those of the other folds taught."""
        if rule not in self._own:
            self._own[rule] = cross_learned(self._seen(rule), self._pass_rates, seed=self._seed)
        return self._own[rule]

    def for_others(self, rule: str, problems: int) -> Lessons:
        """For other problems what all of them taught."""
        everyone = np.arange(len(self._ground.available))
        return Lessons.shared(learn(self._seen(rule), everyone, self._pass_rates), problems)

    def _seen(self, rule: str) -> Observations:
        if rule not in self._observed:
            orders = [self._ground.courses(rule, order) for order in range(self._ground.orders)]
            self._observed[rule] = Observations.of(orders, rule)
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
    return learned_pass_rates(
        [trace.directory], trace.hidden_states, hashes, (), lambda _: known, seed
    ).mean


def _policies(trace: Trace, settings: Settings, most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that a job for this run can have, and why others are left out."""
    notes = {}
    for name in settings.policies or POLICY_NAMES:
        kind = policy_class(name)
        believed = [seen.predicted_pass_rate for seen in trace.problems.values()]
        if kind.uses_curves:
            notes[name] = "it knows the truth, which no run does"
        elif kind.uses_pass_rates and trace.hidden_states is None:
            notes[name] = f"it needs a predictor, and {trace.directory} has no hidden states for one"
        elif kind.uses_pass_rates and kind.uses_lessons and np.isnan(believed).any():
            notes[name] = f"it learns from runs that predicted pass rates, as {trace.directory} did not"
        elif kind.uses_lessons and most < 2:
            notes[name] = f"it learns what a second test does, and {trace.directory} has single tests"
    if settings.policies is None:
        curious = [name for name in notes if not policy_class(name).uses_curves]
        usable = tuple(name for name in POLICY_NAMES if name not in notes)
        return usable, tuple(f"left out {name}: {notes[name]}" for name in curious)
    if notes:
        name, reason = next(iter(notes.items()))
        raise UserError(f"policies must be such as a job for this run can have but got '{name}': {reason}")
    return tuple(dict.fromkeys((Uniform.name, *settings.policies))), ()

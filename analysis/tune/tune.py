"""What came out of a study: what was chosen, on the problems it was chosen by and on those held out."""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from testbudget.analysis.compare.results import STATIC_RULES
from testbudget.analysis.tune.evaluate import RuleRuns, TrialPolicy, prepare_trials
from testbudget.analysis.tune.space import Choice, StudySettings
from testbudget.analysis.tune.study import FINISHED, choice_of, chosen, cut_off, evaluate_trial, open_study
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError
from testbudget.rewards.statistics import Interval, resampled_means
from testbudget.traces.records import QUANTITIES, Cost
from testbudget.traces.trace import Trace

UNTUNED = "auto"
"""The rule that, with equal budgets, is what one has without tuning."""


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """What a choice comes to on some problems; means over problems and orders.

    Attributes:
        accuracy: of the picks.
        reference: the rule of the static reference.
        reference_accuracy: of equal budgets with the better of the static rules, at the same cost.
        lead: over the static reference.
        untuned_accuracy: of equal budgets with ``UNTUNED``, at the same cap.
        untuned_lead: of these over the static reference.
        gain: over these.
        spent: per problem.
    """

    accuracy: Interval
    reference: str
    reference_accuracy: Interval
    lead: Interval
    untuned_accuracy: Interval
    untuned_lead: Interval
    gain: Interval
    spent: Cost


@dataclass(frozen=True, slots=True)
class TunedChoice:
    """A choice with its figures on both sides."""

    choice: Choice
    training: HeldOutScores
    held_out: HeldOutScores


def tuned_choices(choices: Sequence[Choice], field: RuleRuns, settings: StudySettings) -> list[TunedChoice]:
    """The figures of choices, in their order, with intervals from a bootstrap over problems and orders."""
    sides = [_Side(player, settings) for player in (field.training, field.held_out)]
    return [TunedChoice(choice, *(side.figures(choice) for side in sides)) for choice in choices]


class _Side:
    def __init__(self, player: TrialPolicy, settings: StudySettings) -> None:
        self._player, self._settings = player, settings

    def figures(self, choice: Choice) -> HeldOutScores:
        played = self._player.play_all(choice)
        untuned = self._player.play_all(Choice(UNTUNED, Uniform.name, choice.tests_per_problem))
        spent = played.spent.mean(axis=(0, 1))
        if self._settings.pareto is None:
            rule, reference = self._reference(choice.tests_per_problem, QUANTITIES.index("tests"))
        else:
            column = QUANTITIES.index(self._settings.pareto)
            rule, reference = self._reference(float(spent[column]), column)
        values = np.stack([played.accuracy, reference, untuned.accuracy], axis=2)
        resampled = resampled_means(values, np.random.default_rng(self._settings.seed))
        means = np.concatenate([values.mean(axis=(0, 1))[np.newaxis], resampled])
        own, static, equal = means.T
        shown = (own, static, own - static, equal, equal - static, own - equal)
        accuracy, reference_accuracy, lead, untuned_accuracy, untuned_lead, gain = (
            Interval.of(one[0], one[1:]) for one in shown
        )
        return HeldOutScores(
            accuracy,
            rule,
            reference_accuracy,
            lead,
            untuned_accuracy,
            untuned_lead,
            gain,
            Cost(*spent.tolist()),
        )

    def _reference(self, cost: float, column: int) -> tuple[str, NDArray[np.float64]]:
        """Equal budgets with the better static rule at some cost, between whole tests by straight lines.

        Dearer than all tests that every problem has, it stays at these.

        Returns:
            The rule and its accuracy, shape (orders, problems).
        """

        def spent(tests: int) -> float:
            return float(self._equal(STATIC_RULES[0], tests)[1][..., column].mean())

        most = int(self._player.ground.available.mean())
        above = min(bisect_left(range(most + 1), cost, key=spent), most)
        below = max(above - 1, 0)
        step = spent(above) - spent(below)
        share = min((cost - spent(below)) / step, 1.0) if step > 0 else 1.0
        accuracy = {
            rule: (1 - share) * self._equal(rule, below)[0] + share * self._equal(rule, above)[0]
            for rule in STATIC_RULES
        }
        rule = max(STATIC_RULES, key=lambda name: accuracy[name].mean())
        return rule, accuracy[rule]

    def _equal(self, rule: str, tests: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        outcome = self._player.play_all(Choice(rule, Uniform.name, tests))
        return outcome.accuracy, outcome.spent


# ~ """A whole study: tries choices until there are enough, then scores what was chosen on held-out problems."""


JOURNAL = "study.journal"

Attempts = Callable[[optuna.Study, RuleRuns, int, Callable[[], None]], None]
"""Has so many choices tried, and says after each that one more is done."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that came to an end.

    Attributes:
        choice: what it tried.
        record: all that Optuna knows of it.
    """

    choice: Choice
    record: FrozenTrial


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What became of a study.

    Attributes:
        run: name of the run.
        settings: what was asked for.
        problems: how many were chosen by, and how many were held out.
        attempts: in the order in which they began.
        found: the best choice, or the front from the cheapest.
        notes: what could not be tried with this run, in sentences.
    """

    run: str
    settings: StudySettings
    problems: tuple[int, int]
    attempts: tuple[Trial, ...]
    found: tuple[TunedChoice, ...]
    notes: tuple[str, ...]


def tune(
    trace: Trace,
    settings: StudySettings,
    folder: Path,
    watch: Callable[[int], None] = lambda _: None,
    attempts: Attempts | None = None,
) -> TuneResult:
    """Tunes on a finished run with labels.

    Args:
        trace: the run.
        settings: see there.
        folder: of the study; made if it is not there, gone on with if it is.
        watch: told how many trials have come to an end.
        attempts: in other processes; None tries one choice after the other here.

    Raises:
        UserError: settings or a folder that cannot be had with this run.
    """
    field = prepare_trials(trace, settings)
    _check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open_study(folder / JOURNAL, _identity(trace, settings), field) as study:

        def finished() -> list[FrozenTrial]:
            return list(study.get_trials(deepcopy=False, states=FINISHED))

        def look() -> None:
            watch(len(finished()))

        look()
        for trial in cut_off(study):
            evaluate_trial(study, field, settings, trial)
            look()
        missing = settings.trials - len(finished())
        if attempts is not None and missing > 1:
            attempts(study, field, missing, look)
        while len(finished()) < settings.trials:
            evaluate_trial(study, field, settings)
            look()
        return TuneResult(
            trace.directory.resolve().name,
            settings,
            (len(field.training.ground.available), len(field.held_out.ground.available)),
            tuple(Trial(choice_of(trial, field), trial) for trial in finished()),
            tuple(tuned_choices(chosen(study, field), field, settings)),
            field.notes,
        )


def _identity(trace: Trace, settings: StudySettings) -> dict[str, object]:
    """Tells studies apart; of the run, by its problems and how many tests and candidates they have."""
    told = hashlib.sha256()
    for problem, seen in trace.problems.items():
        told.update(repr((problem, seen.content_hash, len(seen.candidates), sorted(seen.tests))).encode())
    return {"run": told.hexdigest()[:12], **settings.identity()}


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out must be a directory but {folder} is a file")
    if folder.exists() and any(folder.iterdir()) and not (folder / JOURNAL).exists():
        raise UserError(f"--out must be a new directory or that of a study but {folder} holds other files")

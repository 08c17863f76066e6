"""Results of a study as values: its trials, and the chosen combinations with held-out scores."""

from dataclasses import dataclass

from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.space import Choice
from testbudget.rewards.statistics import Interval
from testbudget.traces.records import Cost

STUDY_FILE = "study.journal"
"""Optuna's file in the folder of a study."""

UNTUNED_RULE = "auto"
"""With equal budgets, the combination to use without tuning."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial.

    Attributes:
        number: number in the study, from 0.
        choice: rule, policy, cap and bounds.
        complete: False if the trial was pruned: stopped early, because the choice is worse than the best.
        accuracy: mean over training problems and permutations; None if pruned.
        accuracy_by_permutation: mean over training problems in each evaluated permutation; empty for a
            study with two aims.
        spent: cost per problem by quantity, without unmeasured ones; empty if pruned.
    """

    number: int
    choice: Choice
    complete: bool
    accuracy: float | None
    accuracy_by_permutation: tuple[float, ...]
    spent: dict[str, float]


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """Scores of a choice on training or held-out problems; means over problems and permutations.

    Attributes:
        accuracy: accuracy of the picks, in [0, 1].
        reference: rule of the static reference.
        reference_accuracy: accuracy of equal budgets with the better static rule, at the same cost.
        vs_reference: accuracy minus ``reference_accuracy``.
        untuned_accuracy: accuracy of equal budgets with ``UNTUNED_RULE``, at the same cap.
        untuned_vs_reference: ``untuned_accuracy`` minus ``reference_accuracy``.
        vs_untuned: accuracy minus ``untuned_accuracy``.
        spent: cost per problem; NaN if unmeasured.
    """

    accuracy: Interval
    reference: str
    reference_accuracy: Interval
    vs_reference: Interval
    untuned_accuracy: Interval
    untuned_vs_reference: Interval
    vs_untuned: Interval
    spent: Cost


@dataclass(frozen=True, slots=True)
class TunedChoice:
    """A choice with its scores.

    Attributes:
        choice: rule, policy, cap and bounds.
        training: scores on the problems that it was chosen on.
        held_out: scores on the others.
    """

    choice: Choice
    training: HeldOutScores
    held_out: HeldOutScores


@dataclass(frozen=True, slots=True)
class TuneResult:
    """Result of a study.

    Attributes:
        run: name of the run.
        settings: settings of the study.
        problems: number of training problems and of held-out problems.
        trials: finished trials, by number.
        chosen: the most accurate choice, or the Pareto front from the cheapest.
        notes: sentences about what cannot be tried with this run.
    """

    run: str
    settings: StudySettings
    problems: tuple[int, int]
    trials: tuple[Trial, ...]
    chosen: tuple[TunedChoice, ...]
    notes: tuple[str, ...]

"""Results of a study as values: its trials, and the best choices with their scores."""

from dataclasses import dataclass

from testbudget.analysis.tune.settings import StudySettings
from testbudget.analysis.tune.space import Choice
from testbudget.rewards.bootstrap import Interval
from testbudget.traces.agreement import Score
from testbudget.traces.records import Cost

STUDY_FILE = "study.journal"
"""Name of Optuna's file in the folder of a study."""

UNTUNED_RULE = "calibrated"
"""Selection rule of the untuned choice, which has equal budgets."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial.

    Attributes:
        number: number in the study, from 0.
        choice: rule, policy, cap and bounds.
        complete: False if the trial was pruned, that is, stopped early because its choice was worse than
            the best one.
        accuracy: mean accuracy over training problems and permutations, in [0, 1]; None if pruned.
        accuracy_by_permutation: mean accuracy over training problems in each evaluated permutation; empty
            for a study with two aims.
        spent: cost per problem by quantity, without unmeasured ones; empty if pruned.
    """

    number: int
    choice: Choice
    complete: bool
    accuracy: float | None
    accuracy_by_permutation: tuple[float, ...]
    spent: dict[str, float]


@dataclass(frozen=True, slots=True)
class ChoiceScores:
    """Scores of a choice on training or on held-out problems; means over problems and permutations.

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
    """One of the best choices, with its scores.

    Attributes:
        choice: rule, policy, cap and bounds.
        training: scores on the problems that it was chosen on.
        held_out: scores on the held-out problems.
    """

    choice: Choice
    training: ChoiceScores
    held_out: ChoiceScores


@dataclass(frozen=True, slots=True)
class TuneResult:
    """Result of a study.

    Attributes:
        run: name of the run.
        score: what accuracy stands for: agreement with the picks of all tests, if the run has no labels.
        settings: settings of the study.
        problems: numbers of training problems and of held-out problems.
        trials: finished trials, by number.
        chosen: the most accurate choice, or the Pareto front from the cheapest.
        notes: sentences about policies that cannot be tried with this run.
    """

    run: str
    score: Score
    settings: StudySettings
    problems: tuple[int, int]
    trials: tuple[Trial, ...]
    chosen: tuple[TunedChoice, ...]
    notes: tuple[str, ...]

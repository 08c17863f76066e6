"""From finished runs to a trained model, and to figures of what it is worth on problems it has not seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from testbudget.difficulty.base import Method, Prediction, PredictorInputs
from testbudget.difficulty.baselines import Constant, Neighbours, TextBaseline
from testbudget.difficulty.card import (
    STORABLE,
    CardInterval,
    DifficultyModel,
    ModelCard,
    TrainingRun,
    predictor_inputs,
)
from testbudget.difficulty.cross_fitting import CrossFitted, cross_fit
from testbudget.difficulty.examples import (
    PASS_RATE,
    TARGETS,
    MeasuredProblem,
    PredictionTarget,
    TargetLabels,
    TrainingExamples,
    target_labels,
    training_examples,
)
from testbudget.difficulty.linear import Linear
from testbudget.difficulty.probe import Probe
from testbudget.difficulty.scores import Scores, score
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.hidden_states import Provenance, usual_layer
from testbudget.traces.tables import ReadTrace

"""Learning targets by several methods, each judged on problems that it has not seen."""

CROSS_FITTING_FOLDS = 10


@dataclass(frozen=True, slots=True, eq=False)
class TargetScores:
    """Predictions of problems and what was measured on them.

    Attributes:
        labels: of the problems that the target was measured on.
        predicted: of the same problems, in the target's own units.
        scores: of the one against the other.
    """

    labels: TargetLabels
    predicted: Prediction
    scores: Scores


@dataclass(frozen=True, slots=True, eq=False)
class FittedTarget:
    """One target, learned by one method.

    Attributes:
        fitted: what was learned, a member a fold.
        judged: what it says of the training problems, each by a member that has not seen it.
    """

    fitted: CrossFitted
    judged: TargetScores


def fit_target(
    method: Method, labels: TargetLabels, inputs: PredictorInputs, groups: Sequence[str], *, seed: int
) -> FittedTarget:
    """Learns a target from problems, and judges what was learned on the same, each by what has not seen it.

    Args:
        method: learns.
        labels: of the problems; those that the target was not measured on are left out.
        inputs: what is known of them before their first test.
        groups: content hash of each.
        seed: decides the folds, and whatever the method draws.

    Raises:
        UserError: too few problems, or inputs that the method cannot read.
    """
    known, inputs, groups = _measured_on(labels, inputs, groups)
    shares = known.target.as_share(known.values)
    fitted = cross_fit(method, inputs, shares, known.weights, groups, folds=CROSS_FITTING_FOLDS, seed=seed)
    return FittedTarget(fitted, score_target(fitted, known, inputs, groups))


def score_target(
    fitted: CrossFitted, labels: TargetLabels, inputs: PredictorInputs, groups: Sequence[str]
) -> TargetScores:
    """What was learned, put to the test on problems; none is predicted by what has seen it.

    Args:
        fitted: what was learned of the target.
        labels, inputs, groups: of the problems, as in ``fit_target``.

    Raises:
        UserError: inputs unlike those that were learned from.
        ValueError: the target was measured on none of the problems.
    """
    known, inputs, groups = _measured_on(labels, inputs, groups)
    shares = fitted.predict(inputs, groups)
    predicted = Prediction(
        known.target.from_share(shares.mean), known.target.deviation_from_share(shares.deviation)
    )
    return TargetScores(known, predicted, score(predicted.mean, known.values, known.weights, known.event))


def _measured_on(
    labels: TargetLabels, inputs: PredictorInputs, groups: Sequence[str]
) -> tuple[TargetLabels, PredictorInputs, Sequence[str]]:
    rows = labels.known
    if rows.all():
        return labels, inputs, groups
    return labels[rows], inputs[rows], [group for group, row in zip(groups, rows, strict=True) if row]


METHODS: Mapping[str, Method] = {
    method.name: method for method in (Probe(), Linear(), Neighbours(), TextBaseline(), Constant())
}
"""All methods by name; the first is what a model is made of unless told otherwise."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How to learn.

    Attributes:
        method: of the model that is kept.
        layers: hidden layers to learn from, side by side; None takes the ``usual_layer`` of those that
            all runs have.
        candidates: only the first so many of each problem's candidates; None takes all.
        selection: the rule whose picks the gains are about; None learns no gains.
        sources: where the texts of each run's problems come from, by directory of the run; where none is
            given, it is looked up in the run's own job.
        seed: everything random derives from it.
    """

    method: str = Probe.name
    layers: tuple[int, ...] | None = None
    candidates: int | None = None
    selection: str | None = "majority"
    sources: Mapping[Path, str] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in STORABLE:
            raise UserError(f"method must be one of {', '.join(STORABLE)} but got {self.method!r}")

    def with_layers(self, layers: tuple[int, ...]) -> "TrainingSettings":
        """The same for these layers."""
        return replace(self, layers=layers)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingProblems:
    """Problems of several runs, one after the other.

    Attributes:
        runs: with the number of problems of each.
        inputs: what is known of the problems before their first test; without texts unless all are at hand.
        content_hashes: of the problems.
        measured: what their runs say of them.
        provenance: of their hidden states.
        layers: of their hidden states.
    """

    runs: tuple[TrainingRun, ...]
    inputs: PredictorInputs
    content_hashes: tuple[str, ...]
    measured: tuple[MeasuredProblem, ...]
    provenance: Provenance
    layers: tuple[int, ...]

    def target_labels(self, target: PredictionTarget) -> TargetLabels:
        """The target as measured on them."""
        return target_labels(target, self.measured)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What was learned.

    Attributes:
        settings: how.
        problems: of what.
        lessons: by target, then by method; a target that could not be measured on enough problems is not
            among them.
    """

    settings: TrainingSettings
    problems: TrainingProblems
    fitted_targets: Mapping[str, Mapping[str, FittedTarget]]

    @property
    def model(self) -> DifficultyModel:
        """The lessons of the chosen method."""
        fitted = {
            target: by_method[self.settings.method].fitted
            for target, by_method in self.fitted_targets.items()
        }
        card = ModelCard(
            method=self.settings.method,
            hidden_states=self.problems.provenance,
            layers=list(self.problems.layers),
            runs=list(self.problems.runs),
            candidates=self.settings.candidates,
            selection=self.settings.selection,
            folds=CROSS_FITTING_FOLDS,
            seed=self.settings.seed,
            scores={
                target: {
                    method: _figures(fitted_target.judged.scores)
                    for method, fitted_target in by_method.items()
                }
                for target, by_method in self.fitted_targets.items()
            },
        )
        return DifficultyModel(card, fitted)


def gather_problems(runs: Sequence[Path], settings: TrainingSettings, read: ReadTrace) -> TrainingProblems:
    """The problems of finished runs.

    Raises:
        UserError: a run has no labels, or no hidden states of the layers, or of another model than the
            first; or the runs have no layer in common.
    """
    rule = selection_rule(settings.selection) if settings.selection else None
    parts = [
        training_examples(
            run,
            read,
            rule,
            candidates=settings.candidates,
            source=settings.sources.get(run),
            seed=settings.seed,
        )
        for run in runs
    ]
    provenance = _common_provenance(parts)
    layers = settings.layers or (usual_layer(_common_layers(parts), provenance.depth),)
    texts: list[str] = []
    if all(part.texts is not None for part in parts):
        texts = [text for part in parts for text in part.texts or ()]
    states = [predictor_inputs(part.hidden_states, layers).states for part in parts]
    return TrainingProblems(
        tuple(TrainingRun(run=part.directory.name, problems=len(part.ids)) for part in parts),
        PredictorInputs(np.concatenate(states), texts),
        tuple(content_hash for part in parts for content_hash in part.content_hashes),
        tuple(measured for part in parts for measured in part.measured),
        provenance,
        layers,
    )


def train_predictor(problems: TrainingProblems, settings: TrainingSettings) -> Training:
    """Learns every target by every method.

    A method that reads texts is left out where there are none, a target where fewer problems than folds
    have it.

    Raises:
        UserError: fewer distinct problems than folds.
    """
    methods = [m for m in METHODS.values() if problems.inputs.texts or not isinstance(m, TextBaseline)]
    fitted_targets: dict[str, dict[str, FittedTarget]] = {}
    for target in TARGETS.values():
        known = problems.target_labels(target)
        if target is not PASS_RATE and np.count_nonzero(known.known) < 2 * CROSS_FITTING_FOLDS:
            continue
        fitted_targets[target.name] = {
            method.name: fit_target(
                method, known, problems.inputs, problems.content_hashes, seed=settings.seed
            )
            for method in methods
        }
    return Training(settings, problems, fitted_targets)


def score_held_out(training: Training, problems: TrainingProblems) -> dict[str, dict[str, TargetScores]]:
    """Lessons put to the test on the problems of other runs, by target, then by method.

    Raises:
        UserError: the hidden states come from another model, or are of other layers.
    """
    if conflict := training.problems.provenance.conflict(problems.provenance):
        raise UserError(f"the model must fit the hidden states that it is tested on but {conflict}")
    return {
        target: {
            method: score_target(fitted_target.fitted, known, problems.inputs, problems.content_hashes)
            for method, fitted_target in by_method.items()
            if problems.inputs.texts or method != TextBaseline.name
        }
        for target, by_method in training.fitted_targets.items()
        if (known := problems.target_labels(TARGETS[target])).known.any()
    }


def _common_layers(parts: Sequence[TrainingExamples]) -> tuple[int, ...]:
    first = parts[0].hidden_states.layers
    common = tuple(layer for layer in first if all(layer in part.hidden_states.layers for part in parts))
    if not common:
        raise UserError(
            "runs must have a hidden layer in common but "
            + " and ".join(f"{part.directory} has {part.hidden_states.layers}" for part in parts)
        )
    return common


def _common_provenance(parts: Sequence[TrainingExamples]) -> Provenance:
    first = parts[0].hidden_states.provenance
    for part in parts:
        own = part.hidden_states.provenance
        if own is None or first is None:
            raise UserError(
                f"{part.directory} must say which model its hidden states come from but does not"
            )
        if conflict := first.conflict(own):
            raise UserError(f"runs must have hidden states of one model but {conflict}")
    assert first is not None
    return first


def _figures(scores: Scores) -> dict[str, CardInterval]:
    return {
        name: CardInterval(
            **{part: number if math.isfinite(number) else None for part, number in figure.items()}
        )
        for name, figure in asdict(scores).items()
    }

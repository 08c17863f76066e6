"""Training on finished runs: each target is fitted by each method and evaluated on held-out problems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from testbudget.difficulty.base import Prediction, PredictionMethod, PredictorInputs, inputs_of_layers
from testbudget.difficulty.card import DifficultyModel, ModelCard, TrainingRun
from testbudget.difficulty.cross_fitting import CrossFittedEnsemble, cross_fit
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
from testbudget.difficulty.methods import check_storable, prediction_method
from testbudget.difficulty.names import METHOD_NAMES
from testbudget.difficulty.scores import PredictionScores, score_predictions
from testbudget.rewards.bootstrap import Interval
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.hidden_states import Provenance, usual_layer
from testbudget.traces.tables import ReadTrace

_FOLDS = 10  # of every trained model
_TEXT = "text"  # the one method that reads texts


@dataclass(frozen=True, slots=True, eq=False)
class TargetEvaluation:
    """Predictions of a target on problems where it was measured.

    Attributes:
        labels: measured values.
        predicted: predictions of the same problems, in the units of the target.
        scores: scores of the predictions against the labels.
    """

    labels: TargetLabels
    predicted: Prediction
    scores: PredictionScores


@dataclass(frozen=True, slots=True, eq=False)
class FittedTarget:
    """One target fitted by one method.

    Attributes:
        fitted: one member per fold.
        evaluation: on the training problems, each predicted by the member fitted without it.
    """

    fitted: CrossFittedEnsemble
    evaluation: TargetEvaluation


def fit_target(
    method: PredictionMethod,
    labels: TargetLabels,
    inputs: PredictorInputs,
    content_hashes: Sequence[str],
    *,
    seed: int,
) -> FittedTarget:
    """Cross-fit a target and evaluate it on the training problems.

    Args:
        method: method to fit.
        labels: labels of the problems; problems where the target was not measured are left out.
        inputs: inputs of the problems.
        content_hashes: content hashes of the problems.
        seed: any integer; determines the folds and the random numbers of the method.

    Raises:
        UserError: there are too few problems, or the method cannot read the inputs.
    """
    labels, inputs, content_hashes = _measured_on(labels, inputs, content_hashes)
    shares = labels.target.as_share(labels.values)
    fitted = cross_fit(method, inputs, shares, labels.weights, content_hashes, folds=_FOLDS, seed=seed)
    return FittedTarget(fitted, _evaluate_target(fitted, labels, inputs, content_hashes))


def _evaluate_target(
    fitted: CrossFittedEnsemble,
    labels: TargetLabels,
    inputs: PredictorInputs,
    content_hashes: Sequence[str],
) -> TargetEvaluation:
    """Evaluate a fitted target; a training problem is predicted by the member fitted without it."""
    labels, inputs, content_hashes = _measured_on(labels, inputs, content_hashes)
    shares = fitted.predict(inputs, content_hashes)
    predicted = Prediction(
        labels.target.from_share(shares.mean), labels.target.deviation_from_share(shares.deviation)
    )
    return TargetEvaluation(
        labels, predicted, score_predictions(predicted.mean, labels.values, labels.weights, labels.event)
    )


def _measured_on(
    labels: TargetLabels, inputs: PredictorInputs, content_hashes: Sequence[str]
) -> tuple[TargetLabels, PredictorInputs, Sequence[str]]:
    """Labels, inputs and hashes of the problems where the target was measured."""
    rows = labels.known
    if rows.all():
        return labels, inputs, content_hashes
    return (
        labels[rows],
        inputs[rows],
        [content_hash for content_hash, row in zip(content_hashes, rows, strict=True) if row],
    )


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Settings of a training.

    Attributes:
        method: method of the saved model, one of ``STORABLE_METHODS``.
        layers: hidden layers to learn from, side by side; None for the ``usual_layer`` of the layers that
            all runs have.
        candidates: number of candidates to use of each problem, the first ones; None for all.
        selection: selection rule of the gain targets; None to learn no gains.
        sources: source of the problems' texts by run directory; other runs name their source themselves.
        seed: seed of all random draws.

    Raises:
        UserError: a trained model cannot consist of the method.
    """

    method: str = METHOD_NAMES[0]
    layers: tuple[int, ...] | None = None
    candidates: int | None = None
    selection: str | None = "majority"
    sources: Mapping[Path, str] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        check_storable(self.method)

    def with_layers(self, layers: tuple[int, ...]) -> "TrainingSettings":
        """Copy of the settings with other layers."""
        return replace(self, layers=layers)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingProblems:
    """Problems of several runs, one run after the other.

    Attributes:
        runs: name and number of problems of each run.
        inputs: inputs of the problems; without texts unless all texts are available.
        content_hashes: content hashes of the problems.
        measured: measurements of the problems.
        provenance: provenance of the hidden states.
        layers: layers of the hidden states.
    """

    runs: tuple[TrainingRun, ...]
    inputs: PredictorInputs
    content_hashes: tuple[str, ...]
    measured: tuple[MeasuredProblem, ...]
    provenance: Provenance
    layers: tuple[int, ...]

    def target_labels(self, target: PredictionTarget) -> TargetLabels:
        """Measured values of a target, one per problem."""
        return target_labels(target, self.measured)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """Result of a training: all fitted targets.

    Attributes:
        settings: settings of the training.
        problems: training problems.
        fitted_targets: fits by target, then by method; without targets that were measured on too few
            problems.
    """

    settings: TrainingSettings
    problems: TrainingProblems
    fitted_targets: Mapping[str, Mapping[str, FittedTarget]]

    @property
    def model(self) -> DifficultyModel:
        """Model of the method in the settings, with the scores of all methods on its card."""
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
            folds=_FOLDS,
            seed=self.settings.seed,
            scores={
                target: {
                    method: _by_name(fitted_target.evaluation.scores)
                    for method, fitted_target in by_method.items()
                }
                for target, by_method in self.fitted_targets.items()
            },
        )
        return DifficultyModel(card, fitted)


def gather_problems(runs: Sequence[Path], settings: TrainingSettings, read: ReadTrace) -> TrainingProblems:
    """Gather the training problems of finished runs, in the order of the runs.

    Raises:
        UserError: a run lacks labels or hidden states of the layers, its hidden states come from another
            model than those of the first run, or the runs have no layer in common.
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
    states = [inputs_of_layers(part.hidden_states, layers).states for part in parts]
    return TrainingProblems(
        tuple(TrainingRun(run=part.directory.name, problems=len(part.ids)) for part in parts),
        PredictorInputs(np.concatenate(states), texts),
        tuple(content_hash for part in parts for content_hash in part.content_hashes),
        tuple(measured for part in parts for measured in part.measured),
        provenance,
        layers,
    )


def train_predictor(problems: TrainingProblems, settings: TrainingSettings) -> TrainingResult:
    """Fit every target by every method.

    The text method is left out if there are no texts. Targets other than the pass rate are left out if they
    were measured on fewer than two problems per fold.

    Raises:
        UserError: there are fewer distinct problems than folds, or the extra ``train`` is not installed.
    """
    methods = [prediction_method(name) for name in METHOD_NAMES if problems.inputs.texts or name != _TEXT]
    fitted_targets: dict[str, dict[str, FittedTarget]] = {}
    for target in TARGETS.values():
        labels = problems.target_labels(target)
        if target is not PASS_RATE and np.count_nonzero(labels.known) < 2 * _FOLDS:
            continue
        fitted_targets[target.name] = {
            method.name: fit_target(
                method, labels, problems.inputs, problems.content_hashes, seed=settings.seed
            )
            for method in methods
        }
    return TrainingResult(settings, problems, fitted_targets)


def score_held_out(
    training: TrainingResult, problems: TrainingProblems
) -> dict[str, dict[str, TargetEvaluation]]:
    """Evaluate a training on the problems of other runs.

    Targets that were measured on none of these problems are left out.

    Returns:
        Evaluations by target, then by method.

    Raises:
        UserError: the hidden states come from another model or other layers.
    """
    if conflict := training.problems.provenance.conflict(problems.provenance):
        raise UserError(f"the model must fit the hidden states of the evaluated runs but {conflict}")
    return {
        target: {
            method: _evaluate_target(fitted_target.fitted, labels, problems.inputs, problems.content_hashes)
            for method, fitted_target in by_method.items()
            if problems.inputs.texts or method != _TEXT
        }
        for target, by_method in training.fitted_targets.items()
        if (labels := problems.target_labels(TARGETS[target])).known.any()
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
                f"{part.directory} must hold hidden states with provenance but theirs is unknown"
            )
        if conflict := first.conflict(own):
            raise UserError(f"runs must have hidden states of one model but {conflict}")
    assert first is not None
    return first


def _by_name(scores: PredictionScores) -> dict[str, Interval]:
    return {score.name: getattr(scores, score.name) for score in fields(scores)}

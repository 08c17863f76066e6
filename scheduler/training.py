"""From finished runs to a trained model, and to figures of what it is worth on problems it has not seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from difficulty.base import Inputs, Method
from difficulty.baselines import Constant, Neighbours
from difficulty.card import STORABLE, Card, Figure, Model, TrainingRun, features
from difficulty.hidden_states import Provenance, telling_layer
from difficulty.linear import Linear
from difficulty.probe import Probe
from difficulty.scores import Scores
from difficulty.targets import PASS_RATE, TARGETS, Labels, Measured, Target, labels
from difficulty.text_features import Text
from difficulty.training import FOLDS, Judged, Lesson, judge, learn
from rewards.errors import UserError
from rewards.selection import selection_rule
from scheduler.learning import Examples, examples
from scheduler.tables import ReadTrace

METHODS: Mapping[str, Method] = {
    method.name: method for method in (Probe(), Linear(), Neighbours(), Text(), Constant())
}
"""All methods by name; the first is what a model is made of unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to learn.

    Attributes:
        method: of the model that is kept.
        layers: hidden layers to learn from, side by side; None takes the ``telling_layer`` of those that
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

    def with_layers(self, layers: tuple[int, ...]) -> "Settings":
        """The same for these layers."""
        return replace(self, layers=layers)


@dataclass(frozen=True, slots=True, eq=False)
class Problems:
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
    inputs: Inputs
    content_hashes: tuple[str, ...]
    measured: tuple[Measured, ...]
    provenance: Provenance
    layers: tuple[int, ...]

    def labels(self, target: Target) -> Labels:
        """The target as measured on them."""
        return labels(target, self.measured)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What was learned.

    Attributes:
        settings: how.
        problems: of what.
        lessons: by target, then by method; a target that could not be measured on enough problems is not
            among them.
    """

    settings: Settings
    problems: Problems
    lessons: Mapping[str, Mapping[str, Lesson]]

    @property
    def model(self) -> Model:
        """The lessons of the chosen method."""
        fitted = {
            target: by_method[self.settings.method].fitted for target, by_method in self.lessons.items()
        }
        card = Card(
            method=self.settings.method,
            hidden_states=self.problems.provenance,
            layers=list(self.problems.layers),
            runs=list(self.problems.runs),
            candidates=self.settings.candidates,
            selection=self.settings.selection,
            folds=FOLDS,
            seed=self.settings.seed,
            scores={
                target: {method: _figures(lesson.judged.scores) for method, lesson in by_method.items()}
                for target, by_method in self.lessons.items()
            },
        )
        return Model(card, fitted)


def gather(runs: Sequence[Path], settings: Settings, read: ReadTrace) -> Problems:
    """The problems of finished runs.

    Raises:
        UserError: a run has no labels, or no hidden states of the layers, or of another model than the
            first; or the runs have no layer in common.
    """
    rule = selection_rule(settings.selection) if settings.selection else None
    parts = [
        examples(
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
    layers = settings.layers or (telling_layer(_common_layers(parts), provenance.depth),)
    texts: list[str] = []
    if all(part.texts is not None for part in parts):
        texts = [text for part in parts for text in part.texts or ()]
    states = [features(part.hidden_states, layers).states for part in parts]
    return Problems(
        tuple(TrainingRun(run=part.directory.name, problems=len(part.ids)) for part in parts),
        Inputs(np.concatenate(states), texts),
        tuple(content_hash for part in parts for content_hash in part.content_hashes),
        tuple(measured for part in parts for measured in part.measured),
        provenance,
        layers,
    )


def train(problems: Problems, settings: Settings) -> Training:
    """Learns every target by every method.

    A method that reads texts is left out where there are none, a target where fewer problems than folds
    have it.

    Raises:
        UserError: fewer distinct problems than folds.
    """
    methods = [m for m in METHODS.values() if problems.inputs.texts or not isinstance(m, Text)]
    lessons: dict[str, dict[str, Lesson]] = {}
    for target in TARGETS.values():
        known = problems.labels(target)
        if target is not PASS_RATE and np.count_nonzero(known.known) < 2 * FOLDS:
            continue
        lessons[target.name] = {
            method.name: learn(method, known, problems.inputs, problems.content_hashes, seed=settings.seed)
            for method in methods
        }
    return Training(settings, problems, lessons)


def examine(training: Training, problems: Problems) -> dict[str, dict[str, Judged]]:
    """Lessons put to the test on the problems of other runs, by target, then by method.

    Raises:
        UserError: the hidden states come from another model, or are of other layers.
    """
    if conflict := training.problems.provenance.conflict(problems.provenance):
        raise UserError(f"the model must fit the hidden states that it is tested on but {conflict}")
    return {
        target: {
            method: judge(lesson.fitted, known, problems.inputs, problems.content_hashes)
            for method, lesson in by_method.items()
            if problems.inputs.texts or method != Text.name
        }
        for target, by_method in training.lessons.items()
        if (known := problems.labels(TARGETS[target])).known.any()
    }


def _common_layers(parts: Sequence[Examples]) -> tuple[int, ...]:
    first = parts[0].hidden_states.layers
    common = tuple(layer for layer in first if all(layer in part.hidden_states.layers for part in parts))
    if not common:
        raise UserError(
            "runs must have a hidden layer in common but "
            + " and ".join(f"{part.directory} has {part.hidden_states.layers}" for part in parts)
        )
    return common


def _common_provenance(parts: Sequence[Examples]) -> Provenance:
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


def _figures(scores: Scores) -> dict[str, Figure]:
    return {
        name: Figure(**{part: number if math.isfinite(number) else None for part, number in figure.items()})
        for name, figure in asdict(scores).items()
    }

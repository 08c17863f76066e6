"""Predictors of difficulty in the public Python API: training on finished runs, and predictions."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbudget.analysis.training_report import ReportSection, training_sections, write_training
from testbudget.difficulty.card import DifficultyModel
from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.difficulty.training import (
    TrainingResult,
    TrainingSettings,
    gather_problems,
    score_held_out,
    train_predictor,
)
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.traces.files import check_place
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace


@dataclass(frozen=True, slots=True, eq=False)
class SavedTraining:
    """Result of a training that has been saved.

    Attributes:
        directory: directory of the trained model.
        result: fitted targets; ``result.model`` is the saved model.
        sections: scores on the training runs, then on each evaluation run.
    """

    directory: Path
    result: TrainingResult
    sections: list[ReportSection]

    @property
    def report(self) -> Path:
        """HTML page of the scores."""
        return self.directory / "report.html"


def train(
    runs: Sequence[str | Path],
    settings: TrainingSettings | None = None,
    *,
    out: str | Path,
    eval_runs: Sequence[str | Path] = (),
) -> SavedTraining:
    """Train a predictor of difficulty on finished runs, evaluate it on others, and save it with a page.

    Args:
        runs: runs with labels and hidden states to train on.
        settings: method, layers and selection rule (default: ``TrainingSettings()``).
        out: directory of the trained model; must not exist.
        eval_runs: runs to evaluate on, not to train on.

    Raises:
        UserError: the directory exists or cannot be made, or a run cannot be used.

    Example:
        >>> saved = train(["runs/humaneval"], out="runs/model")  # doctest: +SKIP
    """
    settings, out = settings or TrainingSettings(), Path(out)
    if out.exists():
        raise UserError(f"{out} exists. Choose another --out.")
    check_place(out, directory=True)
    read = functools.cache(read_trace)
    for directory in eval_runs:  # a mistake is told before the training
        read(Path(directory))
    training = train_predictor(gather_problems([Path(one) for one in runs], settings, read), settings)
    held_out = {}
    for directory in map(Path, eval_runs):
        problems = gather_problems([directory], settings.with_layers(training.problems.layers), read)
        scores = score_held_out(training, problems)
        held_out[f"{directory.name} ({len(problems.measured)} problems)"] = scores
    sections = training_sections(training, held_out)
    training.model.save(out)
    saved = SavedTraining(out, training, sections)
    write_training(training, sections, saved.report)
    return saved


def predict(
    source: str,
    predictor: str | Path,
    *,
    hidden_states: str | Path | None = None,
    base_model: str | None = None,
) -> list[dict[str, Any]]:
    """Predict the difficulty of problems by a trained model.

    Args:
        source: humaneval, mbpp:FILE, or a JSONL file of problems.
        predictor: directory of the trained model.
        hidden_states: finished run whose hidden states are taken (default: they are extracted).
        base_model: model to extract hidden states by (default: the one on the card).

    Returns:
        An object for each problem: its id (``problem``), ``trained_on``, and by target the ``mean`` and
        standard ``deviation``.

    Raises:
        UserError: the source or the predictor cannot be read, or the hidden states do not fit.

    Example:
        >>> predict("humaneval", "runs/model", hidden_states="runs/humaneval")  # doctest: +SKIP
    """
    loaded = DifficultyModel.load(Path(predictor))
    problems = load_problems(source)
    if hidden_states:
        states = read_trace(Path(hidden_states)).hidden_states_of(problems, loaded.card.layers)
    else:
        extractor = TransformersExtractor(base_model or loaded.card.hidden_states.model)
        states = extractor.extract([problem.prompt for problem in problems], loaded.card.layers)
    return _predictions(loaded, problems, states)


def _predictions(
    model: DifficultyModel, problems: Sequence[Problem], states: HiddenStates
) -> list[dict[str, Any]]:
    """Predictions of a model, a JSON object for each problem.

    Raises:
        UserError: the hidden states do not fit those that the model was trained on.
    """
    hashes = [problem.content_hash for problem in problems]
    texts = [problem.prompt for problem in problems]
    trained_on = model.trained_on(states, hashes, texts)
    lines: list[dict[str, Any]] = [
        {"problem": problem.id, "trained_on": bool(known)}
        for problem, known in zip(problems, trained_on, strict=True)
    ]
    for target in model.fitted:
        predicted = model.predict(target, states, hashes, texts)
        for line, mean, deviation in zip(lines, predicted.mean, predicted.deviation, strict=True):
            line[target] = {"mean": round(float(mean), 6), "deviation": round(float(deviation), 6)}
    return lines

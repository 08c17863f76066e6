"""Training and use of predictors of difficulty, from directories of runs to files."""

import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testbudget.analysis.training_report import ReportSection, training_sections, write_training
from testbudget.cli.console import write_lines
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
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace


def train_and_save(
    runs: Sequence[Path], eval_runs: Sequence[Path], out: Path, **settings: Any
) -> tuple[TrainingResult, list[ReportSection], Path]:
    """Train on finished runs, evaluate on others, and write the model with a page.

    Args:
        runs: runs to train on.
        eval_runs: runs to evaluate on.
        out: directory of the model; must not exist.
        settings: fields of ``TrainingSettings``.

    Returns:
        The result, its sections, and the path of the page.

    Raises:
        UserError: the directory exists or cannot be made, or a run cannot be used.
    """
    if out.exists():
        raise UserError(f"{out} exists. Choose another --out.")
    existing = next(place for place in out.absolute().parents if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"--out must be in a directory that can be written to but {existing} is not one")
    chosen = TrainingSettings(**settings)
    read = functools.cache(read_trace)
    training = train_predictor(gather_problems(runs, chosen, read), chosen)
    held_out = {}
    for directory in eval_runs:
        problems = gather_problems([directory], chosen.with_layers(training.problems.layers), read)
        scores = score_held_out(training, problems)
        held_out[f"{directory.name} ({len(problems.measured)} problems)"] = scores
    sections = training_sections(training, held_out)
    training.model.save(out)
    page = out / "report.html"
    write_training(training, sections, page)
    return training, sections, page


def predict_problems(
    source: str, model: Path, out: Path, hidden_states: Path | None, base_model: str | None
) -> int:
    """Write a line of predictions for each problem of a source.

    Args:
        source: source of the problems.
        model: directory of the trained model.
        out: JSONL file to write, or ``-``.
        hidden_states: finished run whose hidden states are taken; None to extract them.
        base_model: model to extract them by; None for the one that the card names.

    Returns:
        The number of problems.
    """
    loaded = DifficultyModel.load(model)
    problems = load_problems(source)
    if hidden_states:
        states = read_trace(hidden_states).hidden_states_of(problems, loaded.card.layers)
    else:
        extractor = TransformersExtractor(base_model or loaded.card.hidden_states.model)
        states = extractor.extract([problem.prompt for problem in problems], loaded.card.layers)
    lines = predictions(loaded, problems, states)
    write_lines([json.dumps(line, ensure_ascii=False) + "\n" for line in lines], out)
    return len(lines)


def predictions(
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

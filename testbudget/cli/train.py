"""``testbudget train``: learn from finished runs what to believe of problems before their first test."""

import argparse
import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from testbudget.analysis.tables import WIDTH
from testbudget.analysis.training_report import print_training, training_sections, write_training
from testbudget.cli.console import STANDARD_STREAM, check_writable, wide_console, write_lines
from testbudget.difficulty.card import STORABLE_METHODS, DifficultyModel
from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.difficulty.training import (
    TrainingSettings,
    gather_problems,
    score_held_out,
    train_predictor,
)
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem
from testbudget.rewards.selection.names import SELECTION_RULES
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace

DESCRIPTION = """\
Learn from finished runs what to believe of problems before their first test: pass rate, whether there is a
right candidate at all, how the problem's tests err, and what so many of them add to the accuracy of the
pick. All figures are of problems that were not learned from; baselines stand beside them.

  testbudget train runs/humaneval --out runs/model
  testbudget train runs/humaneval --test runs/mbpp --out runs/model     learn on one, test on the other
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    default = TrainingSettings()
    parser = commands.add_parser(
        "train",
        help="learn to predict difficulty from finished runs",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="run with labels and hidden states"
    )
    parser.add_argument("--out", type=Path, required=True, help="directory of the model, must not exist")
    parser.add_argument(
        "--test", nargs="+", type=Path, default=[], metavar="RUN", help="runs to test on, not to learn from"
    )
    parser.add_argument(
        "--method",
        default=default.method,
        help=f"what the model is made of: {' or '.join(STORABLE_METHODS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--layers",
        help="hidden layers to learn from, separated by commas (default: one, at 3/4 of the depth)",
    )
    parser.add_argument(
        "--candidates", help="only the first so many candidates of each problem (default: all)"
    )
    parser.add_argument(
        "--selection",
        default=default.selection,
        help=f"the rule whose picks the gains are of: {', '.join(SELECTION_RULES)} (default: %(default)s)",
    )
    parser.add_argument(
        "--problems",
        action="append",
        default=[],
        metavar="RUN=SOURCE",
        help="where a run's problems come from (humaneval, mbpp:FILE or JSONL), for the baseline that "
        "reads their texts (default: where the run's own job says)",
    )
    parser.add_argument("--seed", default=default.seed, help="of everything random (default: %(default)s)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the figures; writes the model and a page beside it."""
    if arguments.out.exists():
        raise UserError(f"--out must not exist yet but {arguments.out} does")
    existing = next(place for place in arguments.out.absolute().parents if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"--out must be in a directory that can be written to but {existing} is not one")
    settings = TrainingSettings(
        method=arguments.method,
        layers=_layers(arguments.layers),
        candidates=None if arguments.candidates is None else _number("candidates", arguments.candidates, 1),
        selection=arguments.selection,
        sources=_sources(arguments.problems, [*arguments.runs, *arguments.test]),
        seed=_number("seed", arguments.seed, 0),
    )
    read = functools.cache(read_trace)
    console = wide_console(WIDTH)
    training = train_predictor(gather_problems(arguments.runs, settings, read), settings)
    held_out = {}
    for directory in arguments.test:
        problems = gather_problems([directory], settings.with_layers(training.problems.layers), read)
        held_out[f"{directory.name} ({len(problems.measured)} problems)"] = score_held_out(
            training, problems
        )
    shown = training_sections(training, held_out)
    training.model.save(arguments.out)
    write_training(training, shown, arguments.out / "report.html")
    print_training(shown, console)
    for name, path in (("model", arguments.out), ("report", arguments.out / "report.html")):
        console.print(f"{name}: {path}", highlight=False, soft_wrap=True)


def _layers(text: str | None) -> tuple[int, ...] | None:
    return None if text is None else tuple(_number("layers", part, 0) for part in text.split(","))


def _number(flag: str, text: str | int, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise UserError(f"--{flag} takes a whole number of at least {least} but got {text!r}")
    return number


def _sources(given: list[str], runs: list[Path]) -> dict[Path, str]:
    sources = {}
    for text in given:
        directory, separator, source = text.partition("=")
        if not separator or Path(directory) not in runs:
            raise UserError(f"--problems takes RUN=SOURCE for one of the runs but got {text!r}")
        sources[Path(directory)] = source
    return sources


# ~ """``testbudget predict``: score problems by a trained model, before any candidate or test is written."""


DESCRIPTION_of_predict = """\
Score problems by a model that `testbudget train` has made: one line of JSON per problem, with mean and
standard deviation of each target. A problem that the model has learned from is scored by the members that
have not seen it, and marked.

  testbudget predict --model runs/model humaneval --hidden-states runs/humaneval --out beliefs.jsonl
  testbudget predict --model runs/model problems.jsonl --base-model models/0.5b --out beliefs.jsonl
"""


def add_of_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "predict",
        help="score problems by a trained model",
        description=DESCRIPTION_of_predict,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="humaneval, mbpp:FILE, or a JSONL file of problems")
    parser.add_argument("--model", type=Path, required=True, help="directory of the trained model")
    parser.add_argument("--out", type=Path, required=True, help="JSONL file to write, or -")
    states = parser.add_mutually_exclusive_group()
    states.add_argument(
        "--hidden-states", type=Path, metavar="RUN", help="take the hidden states of a finished run"
    )
    states.add_argument(
        "--base-model",
        help="extract them by this model, a hub name or local folder (default: as the card names it)",
    )
    parser.set_defaults(command=run_of_predict)


def run_of_predict(arguments: argparse.Namespace) -> None:
    """Writes the predictions."""
    check_writable(arguments.out)
    model = DifficultyModel.load(arguments.model)
    problems = load_problems(arguments.source)
    if arguments.hidden_states:
        states = read_trace(arguments.hidden_states).hidden_states_of(problems, model.card.layers)
    else:
        extractor = TransformersExtractor(arguments.base_model or model.card.hidden_states.model)
        states = extractor.extract([problem.prompt for problem in problems], model.card.layers)
    lines = predictions(model, problems, states)
    write_lines([json.dumps(line, ensure_ascii=False) + "\n" for line in lines], arguments.out)
    if arguments.out != STANDARD_STREAM:
        Console().print(f"{len(lines)} problems: {arguments.out}", highlight=False, soft_wrap=True)


def predictions(
    model: DifficultyModel, problems: Sequence[Problem], states: HiddenStates
) -> list[dict[str, Any]]:
    """What a model says of each problem.

    Raises:
        UserError: the hidden states are not such as the model has learned from.
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

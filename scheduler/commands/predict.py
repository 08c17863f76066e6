"""``testbudget predict``: score problems by a trained model, before any candidate or test is written."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from difficulty.card import Model
from difficulty.extractors import TransformersExtractor
from difficulty.hidden_states import HiddenStates
from rewards.problem import Problem
from scheduler.commands.lines import STANDARD_STREAM, check_writable, write_lines
from scheduler.problems import load_problems
from scheduler.tables import read_trace

DESCRIPTION = """\
Score problems by a model that `testbudget train` has made: one line of JSON per problem, with mean and
standard deviation of each target. A problem that the model has learned from is scored by the members that
have not seen it, and marked.

  testbudget predict --model runs/model humaneval --hidden-states runs/humaneval --out beliefs.jsonl
  testbudget predict --model runs/model problems.jsonl --base-model models/0.5b --out beliefs.jsonl
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "predict",
        help="score problems by a trained model",
        description=DESCRIPTION,
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
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes the predictions."""
    check_writable(arguments.out)
    model = Model.load(arguments.model)
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


def predictions(model: Model, problems: Sequence[Problem], states: HiddenStates) -> list[dict[str, Any]]:
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

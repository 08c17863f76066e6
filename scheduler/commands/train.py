"""``testbudget train``: learn from finished runs what to believe of problems before their first test."""

import argparse
import functools
import os
from pathlib import Path

from difficulty.card import STORABLE
from rewards.errors import UserError
from rewards.selection import SELECTION_RULES
from scheduler.analysis.training import WIDTH, print_training, sections, write_training
from scheduler.commands.wide import wide_console
from scheduler.tables import read_trace
from scheduler.training import Settings, examine, gather, train

DESCRIPTION = """\
Learn from finished runs what to believe of problems before their first test: pass rate, whether there is a
right candidate at all, how the problem's tests err, and what so many of them add to the accuracy of the
pick. All figures are of problems that were not learned from; baselines stand beside them.

  testbudget train runs/humaneval --out runs/model
  testbudget train runs/humaneval --test runs/mbpp --out runs/model     learn on one, test on the other
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    default = Settings()
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
        help=f"what the model is made of: {' or '.join(STORABLE)} (default: %(default)s)",
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
    settings = Settings(
        method=arguments.method,
        layers=_layers(arguments.layers),
        candidates=None if arguments.candidates is None else _number("candidates", arguments.candidates, 1),
        selection=arguments.selection,
        sources=_sources(arguments.problems, [*arguments.runs, *arguments.test]),
        seed=_number("seed", arguments.seed, 0),
    )
    read = functools.cache(read_trace)
    console = wide_console(WIDTH)
    training = train(gather(arguments.runs, settings, read), settings)
    held_out = {}
    for directory in arguments.test:
        problems = gather([directory], settings.with_layers(training.problems.layers), read)
        held_out[f"{directory.name} ({len(problems.measured)} problems)"] = examine(training, problems)
    shown = sections(training, held_out)
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

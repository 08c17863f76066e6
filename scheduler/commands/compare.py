"""``testbudget compare``: policies and predictors on a finished run, at several caps."""

import argparse
import functools
import math
from pathlib import Path

from difficulty.card import Model
from rewards.errors import UserError
from scheduler.analysis.compare.comparison import USUAL_CAPS, Settings
from scheduler.analysis.compare.page import write_comparison
from scheduler.analysis.compare.playing import compare
from scheduler.analysis.compare.predictors import PREDICTORS, cross_fitted, modelled
from scheduler.analysis.compare.table import WIDTH, print_comparison, write_cells
from scheduler.commands.wide import wide_console
from scheduler.tables import read_trace

DESCRIPTION = """\
Play policies on the recorded tests of a finished run, at several caps and in many random orders of the
tests, and hold them against equal budgets: accuracy at equal cost, and cost at equal accuracy.

  testbudget compare runs/job
  testbudget compare runs/job --predictors on,oracle,calibrated:0.8 --tests-per-problem 2,4,8

A predictor is what a policy believes of the pass rates: the same for all problems (off), what was learned
from other problems of the run (on), the truth (oracle), or the truth blurred to a rank correlation, as bold
as the truth (blurred:0.6) or calibrated (calibrated:0.6).
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    default = Settings()
    parser = commands.add_parser(
        "compare",
        help="compare policies and predictors on a finished run",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a finished run with labels")
    for flag, values, what in (
        ("policies", default.policies, "what to hold against uniform"),
        ("predictors", default.predictors, f"any of {', '.join(PREDICTORS)}"),
    ):
        given = ",".join(values)
        parser.add_argument(
            f"--{flag}", default=given, help=f"{what}, separated by commas (default: {given})"
        )
    parser.add_argument(
        "--tests-per-problem",
        help="caps, as mean numbers of tests, separated by commas "
        f"(default: {','.join(map(str, USUAL_CAPS))}, as far as the run has so many)",
    )
    parser.add_argument(
        "--selection", default=default.selection, help="selection rule (default: %(default)s)"
    )
    parser.add_argument(
        "--orders", default=default.orders, help="random orders of the tests (default: %(default)s)"
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="a trained model for the predictor 'on' (default: learned from the run's other problems)",
    )
    parser.add_argument("--out", type=Path, help="directory to write (default: runs/compare/NAME-OF-RUN)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the tables; writes cells.parquet and compare.html."""
    settings = Settings(
        _names(arguments.policies),
        arguments.selection,
        _names(arguments.predictors),
        _numbers(arguments.tests_per_problem),
        _orders(arguments.orders),
    )
    out = arguments.out or Path("runs") / "compare" / arguments.run.resolve().name
    if out.exists() and not out.is_dir():
        raise UserError(f"--out must be a directory but {out} is a file")
    learned = functools.partial(cross_fitted, seed=settings.seed)
    if arguments.model:
        learned = functools.partial(modelled, model=Model.load(arguments.model))
    comparison = compare(read_trace(arguments.run), settings, learned)
    out.mkdir(parents=True, exist_ok=True)
    write_cells(comparison, out / "cells.parquet")
    write_comparison(comparison, out / "compare.html")
    console = wide_console(WIDTH)
    print_comparison(comparison, console)
    console.print(f"\ntables and plots: {out}", highlight=False, soft_wrap=True)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _numbers(text: str | None) -> list[float] | None:
    if text is None:
        return None
    numbers = []
    for part in _names(text):
        try:
            numbers.append(float(part))
        except ValueError:
            numbers.append(math.nan)
        if not math.isfinite(numbers[-1]):
            raise UserError(f"--tests-per-problem takes numbers but got '{part}'")
    return numbers


def _orders(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--orders takes a whole number but got '{text}'") from None

"""``testbudget compare``: policies, predictors and selection rules on a finished run, at several caps."""

import argparse
import functools
import math
from pathlib import Path

from testbudget.analysis.compare.evaluate import compare
from testbudget.analysis.compare.report import print_comparison, write_comparison, write_grid
from testbudget.analysis.compare.settings import DEFAULT_CAPS, DEFAULT_PREDICTORS, CompareSettings
from testbudget.analysis.tables import WIDTH
from testbudget.cli.console import wide_console
from testbudget.difficulty.card import DifficultyModel
from testbudget.difficulty.predictions import PREDICTOR_NAMES, learned_pass_rates, model_pass_rates
from testbudget.policies.registry import POLICY_NAMES
from testbudget.rewards.errors import UserError
from testbudget.traces.tables import read_trace

DESCRIPTION = """\
Play policies on the recorded tests of a finished run, with several selection rules, at several caps and in
many random orders of the tests. All is held against equal budgets with the same rule, and against the
static reference, equal budgets with majority or consensus, whichever is better: accuracy at equal cost, and
cost at equal accuracy.

  testbudget compare runs/job
  testbudget compare runs/job --policies greedy --predictors on,oracle,calibrated:0.8 --selection auto

A predictor is what a policy believes of the pass rates: the same for all problems (off), what was learned
from other problems of the run (on), the truth (oracle), or the truth blurred to a rank correlation, as bold
as the truth (blurred:0.6) or calibrated (calibrated:0.6). Whatever is learned of a problem is learned from
other problems.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    default = CompareSettings()
    parser = commands.add_parser(
        "compare",
        help="compare policies and predictors on a finished run",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a finished run with labels")
    parser.add_argument(
        "--policies",
        help=f"what to hold against uniform, separated by commas (default: {','.join(POLICY_NAMES)}, as "
        "far as the run allows)",
    )
    parser.add_argument(
        "--predictors",
        help=f"any of {', '.join(PREDICTOR_NAMES)}, separated by commas (default: "
        f"{','.join(DEFAULT_PREDICTORS)}, as far as the run allows)",
    )
    parser.add_argument(
        "--tests-per-problem",
        help="caps, as mean numbers of tests, separated by commas "
        f"(default: {','.join(map(str, DEFAULT_CAPS))}, as far as the run has so many)",
    )
    parser.add_argument(
        "--selection",
        default=",".join(default.selections),
        help="selection rules, separated by commas (default: %(default)s)",
    )
    parser.add_argument(
        "--orders", default=default.permutations, help="random orders of the tests (default: %(default)s)"
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="a trained model for the predictor 'on' (default: learned from the run's other problems)",
    )
    parser.add_argument("--out", type=Path, help="directory to write (default: runs/compare/NAME-OF-RUN)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the tables; writes grid.parquet and compare.html."""
    predictors = arguments.predictors or (",".join(DEFAULT_PREDICTORS) if arguments.model else None)
    settings = CompareSettings(
        policies=tuple(_names(arguments.policies)) if arguments.policies else None,
        selections=tuple(_names(arguments.selection)),
        predictors=tuple(_names(predictors)) if predictors else None,
        tests_per_problem=_numbers(arguments.tests_per_problem),
        permutations=_orders(arguments.orders),
    )
    out = arguments.out or Path("runs") / "compare" / arguments.run.resolve().name
    if out.exists() and not out.is_dir():
        raise UserError(f"--out must be a directory but {out} is a file")
    learned = functools.partial(learned_pass_rates, seed=settings.seed)
    if arguments.model:
        learned = functools.partial(model_pass_rates, model=DifficultyModel.load(arguments.model))
    comparison = compare(read_trace(arguments.run), settings, learned)
    out.mkdir(parents=True, exist_ok=True)
    write_grid(comparison, out / "grid.parquet")
    write_comparison(comparison, out / "compare.html")
    console = wide_console(WIDTH)
    print_comparison(comparison, console)
    console.print(f"\ntables and plots: {out}", highlight=False, soft_wrap=True)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _numbers(text: str | None) -> tuple[float, ...] | None:
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
    return tuple(numbers)


def _orders(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--orders takes a whole number but got '{text}'") from None

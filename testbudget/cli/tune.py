"""``testbudget tune``: the rule, the policy and the cap that serve the problems of a finished run best."""

import argparse
import math
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from testbudget.analysis.tables import WIDTH
from testbudget.analysis.tune.jobs import write_jobs
from testbudget.analysis.tune.report import print_study, write_trials
from testbudget.analysis.tune.results import STUDY_FILE
from testbudget.analysis.tune.space import USUAL_SELECTIONS, StudySettings
from testbudget.analysis.tune.tune import tune
from testbudget.cli.console import wide_console
from testbudget.policies.registry import POLICY_NAMES, policy_class
from testbudget.rewards.errors import UserError
from testbudget.rewards.selection.registry import SELECTION_RULES
from testbudget.traces.records import QUANTITIES
from testbudget.traces.tables import read_trace

DESCRIPTION = """\
Search for the selection rule, the policy and its bounds that pick best under a cap, or for caps too, on the
recorded tests of a finished run. Choices are tried on some of the problems; others are held out, and what
was chosen is scored on these at the end. Both are shown: where they differ much, the choice fits its own
problems and no others.

  testbudget tune runs/job --tests-per-problem 8      the most accurate choice at this cap
  testbudget tune runs/job --pareto                   choices that nothing beats in accuracy and tests
  testbudget tune runs/job --pareto gpu_seconds       ... in accuracy and GPU time
  testbudget run runs/tune/job/job.yaml               the run again, as tuned

The same command again goes on with a study that was interrupted, or with more --trials. While it runs and
afterwards, `optuna-dashboard runs/tune/job/study.journal` shows the study.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    default = StudySettings(tests_per_problem=1)
    parser = commands.add_parser(
        "tune",
        help="search for the best rule, policy and cap on a finished run",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="directory of a finished run with labels")
    aim = parser.add_mutually_exclusive_group(required=True)
    aim.add_argument("--tests-per-problem", help="the cap, as a mean number of tests")
    aim.add_argument(
        "--pareto",
        nargs="?",
        const=QUANTITIES[0],
        metavar="QUANTITY",
        help="try caps too, for accuracy and little of a quantity: "
        f"{', '.join(QUANTITIES)} (default: %(const)s)",
    )
    parser.add_argument(
        "--selection",
        default=",".join(default.selections),
        help=f"rules to try, separated by commas, of {', '.join(SELECTION_RULES)} (default: all but the "
        f"slow {' and '.join(name for name in SELECTION_RULES if name not in USUAL_SELECTIONS)})",
    )
    usable = ", ".join(name for name in POLICY_NAMES if not policy_class(name).uses_curves)
    parser.add_argument(
        "--policies",
        help=f"policies to try beside uniform, separated by commas, of {usable} (default: all that a job "
        "for this run can have)",
    )
    parser.add_argument(
        "--trials",
        default=default.trials,
        help="how many choices to try, earlier ones of the study included (default: %(default)s)",
    )
    parser.add_argument(
        "--orders", default=default.permutations, help="random orders of the tests (default: %(default)s)"
    )
    parser.add_argument(
        "--held-out", default=default.held_out, help="share of the problems held out (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        default=default.seed,
        help="of the split, the orders, the search and the job (default: %(default)s)",
    )
    parser.add_argument(
        "--parallel",
        default=1,
        help="processes that try choices at once, on Ray; with more than one, what is tried hangs on who "
        "is done first (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="directory to write (default: runs/tune/NAME-OF-RUN)")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs or goes on with the study; writes trials.parquet and job files, and prints what was chosen."""
    given = arguments.tests_per_problem
    settings = StudySettings(
        tests_per_problem=None if given is None else _number(given, "--tests-per-problem"),
        pareto=arguments.pareto,
        selections=_names(arguments.selection),
        policies=_names(arguments.policies) if arguments.policies else None,
        trials=_whole(arguments.trials, "--trials"),
        permutations=_whole(arguments.orders, "--orders"),
        held_out=_number(arguments.held_out, "--held-out"),
        seed=_whole(arguments.seed, "--seed"),
    )
    workers = _whole(arguments.parallel, "--parallel")
    if workers < 1:
        raise UserError(f"--parallel must be at least 1 but got {workers}")
    out = arguments.out or Path("runs") / "tune" / arguments.run.resolve().name
    trace = read_trace(arguments.run)
    console = wide_console(WIDTH)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("trials", total=settings.trials)
        tuned = tune(
            trace,
            settings,
            out,
            lambda finished: progress.update(bar, completed=finished),
            workers,
        )
    write_trials(tuned, out / "trials.parquet")
    jobs, obstacle = write_jobs(tuned.chosen, trace, settings.seed, out)
    print_study(tuned, console)
    if obstacle:
        console.print(obstacle, highlight=False, soft_wrap=True)
    shown = [f"{jobs[0]}" + (f" to {jobs[-1].name}" if len(jobs) > 1 else "")] if jobs else []
    shown += [str(out / "trials.parquet"), str(out / STUDY_FILE)]
    console.print(f"\nwritten: {', '.join(shown)}", highlight=False, soft_wrap=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",")))


def _whole(text: str | int, flag: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{flag} takes a whole number but got '{text}'") from None


def _number(text: str | float, flag: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{flag} takes a number but got '{text}'")
    return number

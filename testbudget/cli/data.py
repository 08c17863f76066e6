"""``testbudget problems``: check a source of problems and show what it holds."""

import argparse
from pathlib import Path

from rich.console import Console

from testbudget.analysis.report import print_report, write_report
from testbudget.analysis.summary import summarise
from testbudget.scheduler.imported_run import write_imported
from testbudget.traces.problems import load_problems
from testbudget.traces.votes_file import read_votes


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "problems",
        help="check a source of problems",
        description="Check a source of problems and list what it holds, one problem per line.",
    )
    parser.add_argument("source", help="humaneval, mbpp:FILE, or a JSONL file of problems")
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Lists the problems."""
    console = Console()
    problems = load_problems(arguments.source)
    for problem in problems:
        truth = "with ground truth" if problem.ground_truth else "without ground truth"
        line = f"{problem.id}  {problem.entry_point}  {problem.language}  {truth}"
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"{len(problems)} problems", highlight=False)


# ~ """``testbudget import``: what was found out elsewhere, as a finished run."""


DESCRIPTION = """\
Turn a matrix of outcomes, candidates x tests for each problem, into a finished run.

  testbudget import votes outcomes.npz --out runs/imported
  testbudget compare runs/imported

The arrays are described in docs/votes_format.md. Such a run can be compared, tuned on, reported and
replayed (testbudget run runs/imported/job.yaml); it holds no programs, so it cannot be executed again.
"""


def add_of_import_votes(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "import",
        help="turn outcomes from elsewhere into a finished run",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["votes"], help="votes: candidates x tests for each problem")
    parser.add_argument("file", type=Path, metavar="FILE", help="an .npz file of votes and labels")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="directory of the run, must not exist"
    )
    parser.set_defaults(command=run_of_import_votes)


def run_of_import_votes(arguments: argparse.Namespace) -> None:
    """Writes the run, and says where it lies."""
    problems = write_imported(read_votes(arguments.file), arguments.out)
    print(f"{problems} problems: {arguments.out}")


# ~ """``testbudget report``: finished runs side by side."""


def add_of_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "report",
        help="show finished runs side by side",
        description="Show finished runs side by side: accuracy of the picks, and what was spent.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="directory of a finished run")
    parser.add_argument(
        "--out", type=Path, help="HTML file to write (default: report.html in the first run)"
    )
    parser.set_defaults(command=run_of_report)


def run_of_report(arguments: argparse.Namespace) -> None:
    """Prints the table and writes the HTML report."""
    summaries = [summarise(directory) for directory in arguments.runs]
    path = arguments.out or arguments.runs[0] / "report.html"
    write_report(summaries, path)
    print_report(summaries, path, Console())

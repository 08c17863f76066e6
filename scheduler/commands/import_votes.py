"""``testbudget import``: what was found out elsewhere, as a finished run."""

import argparse
from pathlib import Path

from scheduler.imported_run import write_imported
from scheduler.votes_file import read_votes

DESCRIPTION = """\
Turn a matrix of outcomes, candidates x tests for each problem, into a finished run.

  testbudget import votes outcomes.npz --out runs/imported
  testbudget compare runs/imported

The arrays are described in docs/votes_format.md. Such a run can be compared, tuned on, reported and
replayed (testbudget run runs/imported/job.yaml); it holds no programs, so it cannot be executed again.
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Writes the run, and says where it lies."""
    problems = write_imported(read_votes(arguments.file), arguments.out)
    print(f"{problems} problems: {arguments.out}")

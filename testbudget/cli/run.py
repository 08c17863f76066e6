"""``testbudget run``: spend a cap on a batch of problems."""

import argparse
from pathlib import Path

from rich.console import Console

from testbudget.analysis.report import print_report, write_report
from testbudget.analysis.summary import summarise
from testbudget.cli.console import ProgressDisplay
from testbudget.cli.options import add_job_flags, job_overrides
from testbudget.rewards.errors import UserError
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import resume_run, start_run

DESCRIPTION = """\
Spend a compute cap on the unit tests of a batch of programming problems, and pick the best candidate
of each. The run directory holds picks.jsonl, report.html, Parquet tables, the journal, and the job as
resolved.

  testbudget run job.yaml                         into runs/job
  testbudget run job.yaml --cap.tests 500         the job with another cap
  testbudget run --resume runs/job                go on after a kill
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser(
        "run",
        help="spend a cap on a batch of problems",
        usage="%(prog)s (JOB [--out DIR] [--FIELD VALUE ...] | --resume DIR)",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("job", nargs="?", type=Path, help="job file (YAML)")
    parser.add_argument(
        "--out", type=Path, help="run directory, must not exist (default: runs/NAME-OF-JOB)"
    )
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in this directory")
    add_job_flags(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Runs or resumes, then prints and writes the report."""
    overrides = job_overrides(arguments)
    console = Console()
    if arguments.resume:
        if arguments.job or arguments.out or overrides:
            raise UserError(
                "--resume goes on with a job as it was started: give no job file and no other flag"
            )
        directory = arguments.resume
        with ProgressDisplay(console) as progress:
            resume_run(directory, progress.watch)
    else:
        if not arguments.job:
            raise UserError("run needs a job file, or --resume with a run directory")
        job = load_job(arguments.job, overrides)
        directory = arguments.out or Path("runs") / arguments.job.stem
        with ProgressDisplay(console) as progress:
            start_run(job, directory, progress.watch)
    summary = summarise(directory)
    page = directory / "report.html"
    write_report([summary], page)
    print_report([summary], page, console)

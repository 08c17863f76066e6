"""``testbudget report``: finished runs side by side."""

import argparse
from pathlib import Path

from rich.console import Console

from scheduler.analysis.report import print_report, write_report
from scheduler.analysis.summary import summarise


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
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
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> None:
    """Prints the table and writes the HTML report."""
    summaries = [summarise(directory) for directory in arguments.runs]
    path = arguments.out or arguments.runs[0] / "report.html"
    write_report(summaries, path)
    print_report(summaries, path, Console())

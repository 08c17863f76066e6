"""``testbudget import`` and ``report``: runs from elsewhere, and finished runs shown."""

from pathlib import Path

from cyclopts import App

from testbudget.cli.options import Json, Runs

import_app = App(
    name="import",
    help="Import data from elsewhere as a finished run.",
    help_epilogue="Example:\n\n  testbudget import votes votes.npz --out runs/imported",
)
report_app = App(
    name="report",
    help_epilogue="""Example:

  testbudget report runs/a runs/b --out both.html

Keys of --json: docs/command_line.md""",
)


@import_app.command(
    name="votes",
    help_epilogue="""Examples:

  testbudget import votes votes.npz --out runs/imported
  testbudget compare runs/imported""",
)
def import_votes(file: Path, /, *, out: Path) -> None:
    """Import verdicts (candidates x tests of each problem) as a finished run.

    The arrays are described in docs/importing_votes.md. The run can be compared,
    tuned on, reported and run again with backend recorded (testbudget run
    RUN/job.yaml). It holds no programs, so they cannot be executed again.

    Args:
        file: An .npz file of votes and labels.
        out: Run directory; must not exist.
    """
    from testbudget import api

    imported = api.import_votes(file, out=out)
    print(f"{len(imported.trace.problems)} problems: {out}")


@report_app.default
def report(runs: Runs, /, *, out: Path | None = None, json: Json = False) -> None:
    """Compare finished runs side by side: accuracy of the picks, and costs.

    Args:
        runs: Directories of finished runs.
        out: HTML file to write (default: report.html in the first run).
    """
    from testbudget import api
    from testbudget.analysis.report import print_report, summary_records, write_report
    from testbudget.cli.console import print_json, status_console
    from testbudget.traces.files import check_place

    page = out or runs[0] / "report.html"
    check_place(page, directory=False)
    summaries = [api.load(directory).summary for directory in runs]
    write_report(summaries, page)
    if json:
        print_json({"runs": summary_records(summaries), "report": str(page)})
    else:
        print_report(summaries, page, status_console(json))

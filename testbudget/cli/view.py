"""``testbudget view`` and ``report``: the page of runs, served while one goes on or written to a file."""

import threading
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from testbudget.cli.options import Json, Runs, whole_number
from testbudget.rewards.errors import UserError
from testbudget.traces.run_place import is_url

view_app = App(
    name="view",
    help_epilogue="""Examples:

  testbudget view runs/job                    while it runs, or afterwards
  testbudget view runs/job runs/other         several side by side""",
)
report_app = App(
    name="report",
    help_epilogue="""Examples:

  testbudget report runs/a runs/b --out both.html
  testbudget report runs/base runs/tuned --quality --trained-on runs/writer
  xdg-open both.html                          in a browser

Keys of --json: docs/command_line.md""",
)


@view_app.default
def view(
    runs: Runs,
    /,
    *,
    port: Annotated[int, whole_number("Port on this machine; 0 takes a free one.", least=0)] = 0,
) -> None:
    """Show runs in a browser, live while one of them goes on.

    The page is served on this machine alone, under an address that nobody can
    guess, until Ctrl-C. The run is only read: neither its start nor its end
    depends on the page.

    Args:
        runs: Run directories; at most one of a run that is not finished. A finished one may be a URL.
    """
    from testbudget.analysis.view.server import PageServer
    from testbudget.traces.fetched_run import local_run

    with PageServer([local_run(run) for run in runs], port) as server:
        print(f"{server.url}\nCtrl-C ends the server; the run goes on.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


@report_app.default
def report(
    runs: Runs,
    /,
    *,
    out: Path | None = None,
    quality: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    trained_on: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())] = None,
    json: Json = False,
) -> None:
    """Compare finished runs side by side: accuracy of the picks, and costs.

    The page is one file that a browser opens without a network; docs/reading_the_report.md
    says how to read it.

    Args:
        runs: Directories of finished runs, or their URLs.
        out: HTML file to write (default: report.html in the first run; of a URL, in this directory).
        quality: Print the quality of the tests instead, of one run or of two side by side: rates of single
            tests and of many, accuracy at equal tests and at equal tokens, fidelity.
        trained_on: Directories by finetune or distill; problems that were trained on are left out (with
            --quality).
    """
    if quality:
        _report_quality(runs, out, trained_on or [], json=json)
        return
    if trained_on:
        raise UserError("report takes --trained-on with --quality only")
    from testbudget import api
    from testbudget.analysis.report import print_report, summary_records
    from testbudget.analysis.view.page import write_runs_page
    from testbudget.cli.console import print_json, status_console
    from testbudget.traces.files import check_place

    page = out or (Path() if is_url(runs[0]) else runs[0]) / "report.html"
    check_place(page, directory=False)
    loaded = [api.load(directory) for directory in runs]
    write_runs_page([run.finished for run in loaded], page)
    summaries = [run.summary for run in loaded]
    if json:
        print_json({"runs": summary_records(summaries), "report": str(page)})
    else:
        print_report(summaries, page, status_console(json))


def _report_quality(runs: list[Path], out: Path | None, trained_on: list[Path], *, json: bool) -> None:
    from testbudget import writers
    from testbudget.analysis.quality.report import print_quality, quality_record
    from testbudget.analysis.tables import WIDTH
    from testbudget.cli.console import print_json, status_console
    from testbudget.traces.fetched_run import local_run

    if out is not None:
        raise UserError("report --quality writes no page, so it takes no --out")
    measured = writers.quality([local_run(run) for run in runs], trained_on=trained_on)
    if json:
        print_json(quality_record(measured))
    else:
        print_quality(measured, status_console(json, width=WIDTH))

"""``testbudget run``: spend a cap on a batch of problems."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from testbudget.cli.options import Json, flags_of
from testbudget.rewards.errors import UserError
from testbudget.scheduler.job import Job

if TYPE_CHECKING:
    JobFlags = dict[str, Any]
else:
    JobFlags = flags_of(Job, "Job")

app = App(
    name="run",
    usage="Usage: testbudget run (JOB [--out DIR] [--FIELD VALUE ...] | --resume DIR) [--json]",
    help_epilogue="""Lists are separated by commas. The value none unsets an optional field.

Examples:

  testbudget run job.yaml                     into runs/job
  testbudget run job.yaml --cap.tests 500     the job with another cap
  testbudget run --resume runs/job            continue after a kill

Keys of --json: docs/command_line.md""",
)


@app.default
def run(
    job: Path | None = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    json: Json = False,
    flags: Annotated[JobFlags | None, Parameter(name="*")] = None,
) -> None:
    """Spend a compute cap on the unit tests of a batch of problems, and pick the best candidate of each.

    The run directory gets picks.jsonl, report.html, Parquet tables, the event
    log, and the resolved job. Each field of the job file has a flag that
    overrides it. Paths are relative to the file's folder.

    Args:
        job: Job file (YAML).
        out: Run directory; must not exist (default: runs/NAME-OF-JOB).
        resume: Run directory of a run to continue.
    """
    if resume and (job or out or flags):
        raise UserError("--resume continues a job as it was started: give no job file and no other flag")
    if not (job or resume):
        raise UserError("run needs a job file, or --resume with a run directory")
    checked = None
    if job:  # a mistake in the file is found before anything heavy is imported
        from testbudget.scheduler.job_file import load_job

        checked = load_job(job, flags)

    from testbudget import api
    from testbudget.analysis.report import print_report, summary_records, write_report
    from testbudget.cli.console import ProgressDisplay, print_json, status_console

    console = status_console(json)
    with ProgressDisplay(console) as progress:
        if resume:
            finished = api.resume(resume, watch=progress.watch)
        else:
            assert job is not None
            assert checked is not None
            finished = api.run(checked, out=out or Path("runs") / job.stem, watch=progress.watch)
    page = finished.directory / "report.html"
    write_report([finished.summary], page)
    if json:
        files = {
            "directory": finished.directory,
            "report": page,
            "picks": finished.directory / "picks.jsonl",
        }
        print_json(
            summary_records([finished.summary])[0] | {name: str(path) for name, path in files.items()}
        )
    else:
        print_report([finished.summary], page, console)

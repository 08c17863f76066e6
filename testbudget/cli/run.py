"""``testbudget run``: spend a cap on a batch of problems."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from testbudget.cli.interruptions import Interruptions
from testbudget.cli.options import Json, flags_of, whole_number
from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.job import Job
from testbudget.scheduler.ray_job import is_in_ray_job, run_target
from testbudget.traces.run_place import is_url, run_place

if TYPE_CHECKING:
    from rich.console import Console

    from testbudget.runs import Run

    JobFlags = dict[str, Any]
else:
    JobFlags = flags_of(Job, "Job")

OrResume = Annotated[bool, Parameter(name="--or-resume", negative=(), show_default=False)]
DryRun = Annotated[bool, Parameter(name="--dry-run", negative=(), show_default=False)]

app = App(
    name="run",
    usage="Usage: testbudget run (JOB [--out RUN] [--or-resume | --dry-run] [--FIELD VALUE ...] | "
    "--resume RUN) [--json]",
    help_epilogue="""Lists are separated by commas. The value none unsets an optional field.

Examples:

  testbudget run job.yaml                     into runs/job
  testbudget run job.yaml --cap.tests 500     the job with another cap
  testbudget run job.yaml --dry-run           what it will cost, by a probe
  testbudget run --resume runs/job            continue after a kill
  testbudget run --resume runs/job --cap.tests 5000   and with a higher cap
  testbudget run job.yaml --out s3://bucket/runs/a

Keys of --json: docs/command_line.md""",
)


@app.default
def run(
    job: Path | None = None,
    /,
    *,
    out: str | None = None,
    resume: str | None = None,
    or_resume: OrResume = False,
    dry_run: DryRun = False,
    rates_from: Path | None = None,
    probe: Annotated[int | None, whole_number(least=1)] = None,
    json: Json = False,
    flags: Annotated[JobFlags | None, Parameter(name="*")] = None,
) -> None:
    """Spend a compute cap on the unit tests of a batch of problems, and pick the best candidate of each.

    The run directory gets picks.jsonl, report.html, Parquet tables, the event
    log, and the resolved job. Each field of the job file has a flag that
    overrides it. Paths are relative to the file's folder. In a job of Ray's the
    run directory is relative to the home directory, and --or-resume is on.

    Args:
        job: Job file (YAML).
        out: Run directory, or a URL such as s3://bucket/runs/a; must not exist
            (default: runs/NAME-OF-JOB).
        resume: Run directory, or URL, of a run to continue.
        or_resume: Continue the job's unfinished run if there is one in --out.
        dry_run: Say what the job will cost, which limit of its cap will end it,
            how long it will take and what accuracy to expect; run nothing but
            a probe.
        rates_from: Finished run whose costs --dry-run takes in place of a probe
            (default: the run that the job's tests come from, if they do).
        probe: Number of problems of the probe of --dry-run, a fifth of all at
            most, with their share of the cap (default: 20).
    """
    fits = all(name.startswith(("cluster.", "cap.")) for name in flags or {})
    if resume and (job or out or or_resume or not fits):
        raise UserError(
            "--resume continues a job as it was started: give no job file and no other flags but those of "
            "--cluster and the limits of --cap"
        )
    if not (job or resume):
        raise UserError("run needs a job file, or --resume with a run directory")
    checked = None
    if job:  # a mistake in the file is found before anything heavy is imported
        from testbudget.scheduler.job_file import load_job

        checked = load_job(job, flags, with_places=True)
        with _told_with_lines(job, flags):
            from testbudget.scheduler.small_files import check_small_files

            check_small_files(checked)
    if dry_run:
        if checked is None or or_resume or out:
            raise UserError("--dry-run takes a job file, and neither --out nor --resume nor --or-resume")
        with _told_with_lines(job, flags):
            _tell_forecast(checked, rates_from, probe, json=json)
        return
    if rates_from or probe:
        raise UserError("--rates-from and --probe go with --dry-run")

    from testbudget.cli.console import status_console
    from testbudget.cli.progress import ProgressDisplay

    console = status_console(json)
    target = run_target(resume or out, job.stem if job else "")
    if not (or_resume or is_url(target) or is_in_ray_job()):
        from testbudget.scheduler.run_directory import check_new, check_started

        (check_started if resume else check_new)(Path(target))
    console.print(f"run directory: {target}", highlight=False, soft_wrap=True, markup=False)
    with (
        _told_with_lines(job, flags),
        Interruptions(),
        _told_how_to_go_on(target),
        ProgressDisplay(console) as progress,
    ):
        progress.stage("loading")
        from testbudget import api  # loads array libraries, which takes a second

        if resume:
            finished = api.resume(target, overrides=flags, watch=progress.watch)
        else:
            assert checked is not None
            again = or_resume or is_in_ray_job()
            finished = api.run(checked, out=target, watch=progress.watch, or_resume=again)
        progress.stage("writing the report")
        page = _write_report(finished, target)
    _print_end(finished, page, progress.seconds, console, json=json)


@contextmanager
def _told_with_lines(job: Path | None, flags: "JobFlags | None") -> Iterator[None]:
    """Context in which a mistake in a field of the job file is told with its line."""
    if job is None:
        yield
        return
    from testbudget.scheduler.job_file import told_with_lines

    with told_with_lines(job, flags):
        yield


@contextmanager
def _told_how_to_go_on(target: str | Path) -> Iterator[None]:
    """Context in which an interrupt, or a failure of the infrastructure, says how the run is continued."""
    try:
        yield
    except KeyboardInterrupt:
        if not is_url(target) and not (Path(target) / "log.sqlite").exists():
            raise KeyboardInterrupt("interrupted before the run began; nothing is left") from None
        raise KeyboardInterrupt(
            f"interrupted; nothing is lost: continue with testbudget run --resume {target}"
        ) from None
    except InfrastructureError as error:
        known = f"--resume {target}" in str(error)
        raise InfrastructureError(
            str(error) if known else f"{error}. Continue with testbudget run --resume {target}"
        ) from None


def _write_report(finished: "Run", target: str | Path) -> Path:
    from testbudget.analysis.view.page import write_runs_page

    page = finished.directory / "report.html"
    write_runs_page([finished.finished], page)
    if is_url(target):
        run_place(target).copy_in(page, page.name)
    return page


def _print_end(
    finished: "Run", page: Path, seconds: float | None, console: "Console", *, json: bool
) -> None:
    """Print the figures that matter, or all of them as JSON."""
    from testbudget.analysis.report import print_notes, summary_records
    from testbudget.cli.console import print_json
    from testbudget.cli.main_figures import print_main_figures

    if json:
        files = {
            "directory": finished.directory,
            "report": page,
            "picks": finished.directory / "picks.jsonl",
        }
        print_json(
            summary_records([finished.summary])[0] | {name: str(path) for name, path in files.items()}
        )
        return
    print_notes([finished.summary], console)
    print_main_figures(finished.summary, seconds, page, console)


def _tell_forecast(job: Job, rates_from: Path | None, probe: int | None, *, json: bool) -> None:
    from testbudget.cli.console import print_json, status_console
    from testbudget.cli.forecasts import forecast_record, print_forecast
    from testbudget.forecast import PROBE_PROBLEMS, forecast

    console = status_console(json)
    if not (rates_from or job.tests.from_run):
        console.print("running the probe", highlight=False)
    with Interruptions():
        found = forecast(job, rates_from=rates_from, probe=probe or PROBE_PROBLEMS)
    if json:
        print_json(forecast_record(found))
    else:
        print_forecast(found, console)

"""``testbudget tune``: search for the rule, policy and cap that pick best on a finished run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from testbudget.analysis.tune.settings import StudySettings
from testbudget.cli.options import Json, flags_of, whole_number
from testbudget.rewards.errors import UserError

if TYPE_CHECKING:
    StudyFlags = dict[str, Any]
else:
    StudyFlags = flags_of(StudySettings, "Settings", renamed={"selections": "selection"})

app = App(
    name="tune",
    usage="Usage: testbudget tune RUN (--tests-per-problem N | --pareto QUANTITY | --wanted P) [OPTIONS]",
    help_epilogue="""The same command again resumes an interrupted study, or extends it with
more --trials. Lists are separated by commas.

Examples:

  testbudget tune runs/job --tests-per-problem 8
  testbudget tune runs/job --pareto gpu_seconds
  testbudget tune runs/job --wanted 0.8        fewest tests for an accuracy
  testbudget tune runs/job --tests-per-problem 8 --storage postgresql://HOST/DB
  testbudget run runs/tune/job/job.yaml                 run the tuned job
  optuna-dashboard runs/tune/job/study.journal          look at the study

Keys of --json: docs/command_line.md""",
)


@app.default
def tune(
    run: Path,
    /,
    *,
    workers: Annotated[
        int,
        whole_number(
            "Processes that try choices at once, on Ray; with several, the choices depend on the order in "
            "which trials end.",
            least=1,
        ),
    ] = 1,
    out: Path | None = None,
    json: Json = False,
    flags: Annotated[StudyFlags | None, Parameter(name="*")] = None,
) -> None:
    """Search for the selection rule, policy and bounds (or caps) that pick best on a finished run.

    Choices are tried on some problems of the run. The best is scored on the
    held-out problems at the end. Both scores are shown: the first is too
    optimistic, because the choice was made on these problems.

    Args:
        run: Directory of a finished run. Without labels, picks are scored by their agreement with those of
            all tests.
        out: Directory to write or to resume (default: runs/tune/NAME-OF-RUN).
    """
    given = flags or {}
    if sum(aim in given for aim in ("tests_per_problem", "pareto", "wanted")) != 1:
        raise UserError("tune needs exactly one of --tests-per-problem, --pareto and --wanted")
    settings = StudySettings(**given)

    from testbudget import api
    from testbudget.analysis.tables import WIDTH
    from testbudget.analysis.tune.jobs import write_jobs
    from testbudget.analysis.tune.report import print_study, study_records, write_study, write_trials
    from testbudget.analysis.tune.results import STUDY_FILE
    from testbudget.cli.console import print_json, status_console, trial_progress

    finished = api.load(run)
    folder = out or Path("runs") / "tune" / run.resolve().name
    console = status_console(json, width=WIDTH)
    with trial_progress(console, settings.trials) as watch:
        result = api.tune(finished, settings, out=folder, watch=watch, workers=workers)
    trials = folder / "trials.parquet"
    write_trials(result, trials)
    page = folder / "report.html"
    write_study(result, page)
    jobs, obstacle = write_jobs(result.chosen, finished.trace, settings.seed, folder)
    if json:
        files = {"jobs": [str(path) for path in jobs], "table": str(trials), "report": str(page)}
        print_json(study_records(result) | files)
        return
    print_study(result, console)
    if obstacle:
        console.print(obstacle, highlight=False, soft_wrap=True)
    shown = [f"{jobs[0]}" + (f" to {jobs[-1].name}" if len(jobs) > 1 else "")] if jobs else []
    shown += [str(page), str(trials), *([] if settings.storage else [str(folder / STUDY_FILE)])]
    console.print(f"\nwritten: {', '.join(shown)}", highlight=False, soft_wrap=True)

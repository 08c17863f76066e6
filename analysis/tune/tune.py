"""A whole study: a number of choices is tried, and the best is scored on held-out problems."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from testbudget.analysis.tune.evaluate import prepare_study
from testbudget.analysis.tune.results import STUDY_FILE, TuneResult
from testbudget.analysis.tune.scores import score_choices
from testbudget.analysis.tune.settings import StudySettings
from testbudget.rewards.errors import UserError, require_extra
from testbudget.traces.agreement import score_of
from testbudget.traces.files import check_place
from testbudget.traces.trace import Trace

_MARK = "shared_study.txt"  # in the folder of a study whose storage is elsewhere


def tune(
    trace: Trace,
    settings: StudySettings,
    folder: Path,
    watch: Callable[[int], None] = lambda _: None,
    workers: int = 1,
) -> TuneResult:
    """Search for the best choice on a finished run.

    Args:
        trace: the run. Without labels, picks are scored by their agreement with those of all tests.
        settings: aim and search space.
        folder: folder of the study; it is made, or the study in it is resumed.
        watch: called with the number of finished trials.
        workers: number of processes that try choices at once. Several run on a local Ray cluster; the
            choices then depend on the order in which trials end.

    Raises:
        UserError: Optuna is not installed, the folder holds other files, or the run does not allow the
            settings.
    """
    if workers < 1:
        raise UserError(f"workers must be at least 1 but got {workers}")
    check_place(folder, directory=True)
    with require_extra("tune", "tuning"):
        from testbudget.analysis.tune import study as optuna_study
    prepared = prepare_study(trace, settings)
    _check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if settings.storage is not None:
        (folder / _MARK).write_text("The study is in a storage elsewhere.\n", encoding="utf-8")
    with optuna_study.open_study(folder, settings, _identity(trace, settings), prepared) as study:

        def report() -> None:
            watch(optuna_study.count_finished(study))

        report()
        if settings.storage is None:  # in a shared one, other processes may be at work on them
            for trial in optuna_study.interrupted_trials(study):
                optuna_study.run_trial(study, prepared, settings, trial)
                report()
        missing = settings.trials - optuna_study.count_finished(study)
        if workers > 1 and missing > 1:
            with require_extra("cluster", "tuning with several workers"):
                from testbudget.analysis.tune.parallel import run_trials
            run_trials(trace.directory, folder, settings, missing, workers, report)
        while optuna_study.count_finished(study) < settings.trials:
            optuna_study.run_trial(study, prepared, settings)
            report()
        chosen = optuna_study.best_choices(study, prepared, settings.wanted)
        return TuneResult(
            run=trace.directory.resolve().name,
            score=score_of(trace),
            settings=settings,
            problems=(
                len(prepared.training.curves.available),
                len(prepared.held_out.curves.available),
            ),
            trials=optuna_study.finished_trials(study, prepared),
            chosen=tuple(score_choices(chosen, prepared, settings)),
            notes=prepared.notes,
        )


def _identity(trace: Trace, settings: StudySettings) -> dict[str, object]:
    """Settings, and a digest of the run's problems with their numbers of tests and candidates."""
    digest = hashlib.sha256()
    for problem, seen in trace.problems.items():
        digest.update(repr((problem, seen.content_hash, len(seen.candidates), sorted(seen.tests))).encode())
    return {"run": digest.hexdigest()[:12], **settings.identity()}


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out must be a directory but {folder} is a file")
    known = (STUDY_FILE, _MARK)
    if folder.exists() and any(folder.iterdir()) and not any((folder / name).exists() for name in known):
        raise UserError(f"--out must be a new directory or that of a study but {folder} holds other files")

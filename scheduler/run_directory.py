"""Directory of a run before its loop: made for a new one, checked for one that is continued."""

from collections.abc import Sequence
from pathlib import Path

from testbudget.rewards.errors import UserError
from testbudget.scheduler.event_log import LOG_FILE, EventLog
from testbudget.traces.files import check_place


def make_directory(directory: Path) -> None:
    """Make the directory of a new run.

    Raises:
        UserError: it exists, or cannot be made.
    """
    if not directory.exists():
        check_place(directory, directory=True)
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"{directory} exists. Resume its run with --resume {directory} or choose another directory."
        ) from None


def check_started(directory: Path) -> None:
    """Check that a run was started in a directory.

    Raises:
        UserError: it is none.
    """
    if not directory.is_dir():
        raise UserError(f"{directory} must be a run that was started but {_no_run(directory)}")
    if (directory / LOG_FILE).exists():
        return
    job = directory / "job.yaml"
    start = f": start its job with testbudget run {job} --out DIR" if job.exists() else ""
    raise UserError(f"{directory} must be a run that was started but it has no {LOG_FILE}{start}")


def _no_run(path: Path) -> str:
    """Reason why a path that is no directory is no run."""
    if not path.exists():
        return "there is no such directory"
    return f"it is a file: if it is a job, start it with testbudget run {path}"


def remove_empty(directories: Sequence[Path]) -> None:
    """Remove directories, innermost first, up to one that holds anything."""
    for directory in directories:
        try:
            directory.rmdir()
        except OSError:  # another run has begun beside this one
            return


def holds_work(directory: Path) -> bool:
    """True if the log holds results of work, which would be lost with the directory."""
    if not (directory / LOG_FILE).exists():
        return False
    with EventLog(directory / LOG_FILE) as log:
        return any(
            getattr(record, "piece", None) is not None
            for entry in log.entries(outputs=False)
            for record in entry.records
        )

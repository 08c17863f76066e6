"""Directory of a run before its loop: made for a new one, checked for one that is continued."""

from collections.abc import Sequence
from pathlib import Path

from testbudget.rewards.errors import UserError
from testbudget.scheduler.event_log import LOG_FILE, EventLog
from testbudget.traces.files import check_place
from testbudget.traces.missing_run import missing_run


def make_directory(directory: Path) -> None:
    """Make the directory of a new run.

    Raises:
        UserError: it exists, or cannot be made.
    """
    check_new(directory)
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        raise _existing(directory) from None


def check_new(directory: Path) -> None:
    """Check that the directory of a new run can be made.

    Raises:
        UserError: it exists, or cannot be made.
    """
    if directory.exists():
        raise _existing(directory)
    check_place(directory, directory=True)


def _existing(directory: Path) -> UserError:
    return UserError(
        f"{directory} exists. Resume its run with --resume {directory} or choose another directory."
    )


def check_started(directory: Path) -> None:
    """Check that a run was started in a directory.

    Raises:
        UserError: it is none.
    """
    if (directory / LOG_FILE).exists():
        return
    error = missing_run(directory, LOG_FILE, "a run that was started")
    if (job := directory / "job.yaml").exists():
        raise UserError(f"{error}: start its job with testbudget run {job} --out DIR")
    raise error


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

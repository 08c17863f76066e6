"""Finished runs on object storage, fetched to this machine to be read."""

import hashlib
import os
import tempfile
from pathlib import Path

from testbudget.rewards.errors import UserError
from testbudget.traces.files import write_text
from testbudget.traces.missing_run import missing_run
from testbudget.traces.run_info import RUN_FILE
from testbudget.traces.run_place import is_url, run_place

_LAST = "candidates.parquet"  # without which a run has not finished


def local_run(target: str | Path) -> Path:
    """Directory of a run on this machine: the path as given, or for a URL a folder with the run's files.

    A run that was fetched before, and has not been resumed since, is not fetched again.

    Args:
        target: run directory, or its URL.

    Raises:
        UserError: the URL cannot be read, or holds no finished run.
    """
    if not is_url(target):
        return Path(target)
    place = run_place(target)
    folder = scratch_folder() / f"{place.name.rpartition('/')[2]}-{_digest(place.name)}"
    facts = folder / RUN_FILE
    try:
        names = place.files("")
        if _LAST not in names:
            raise missing_run(place.name, _LAST, "a finished run")
        found = place.read(RUN_FILE) or b""
        if found and facts.exists() and facts.read_bytes() == found:
            return folder
        folder.mkdir(exist_ok=True)
        facts.unlink(missing_ok=True)
        for name in names:
            if name != RUN_FILE:
                place.copy_out(name, folder / name)
        if found:  # last, as the mark that all is there
            write_text(found.decode(), facts)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{place.name} must be a run that can be read but {reason}") from None
    return folder


def scratch_folder() -> Path:
    """Folder of this user for files of runs on object storage. It is made if it is not there."""
    folder = Path(tempfile.gettempdir()) / f"testbudget-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:8]

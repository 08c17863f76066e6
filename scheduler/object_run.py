"""Run directory on object storage: a local folder to work in, and what of it is shipped when."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.event_log import LOG_FILE
from testbudget.scheduler.log_shipping import (
    LogShipper,
    Segment,
    last_rows,
    publish_manifest,
    published_segments,
    restore_log,
)
from testbudget.scheduler.run_owner import Claim, claim_run, claims_of, wait_for_silence
from testbudget.traces.fetched_run import scratch_folder
from testbudget.traces.live_status import SILENT_SECONDS, STATUS_FILE
from testbudget.traces.missing_run import missing_run
from testbudget.traces.run_info import RUN_FILE
from testbudget.traces.run_place import RunPlace, run_place, url_of

JOB_FILE = "job.yaml"
"""Name of the job in a run directory."""


@dataclass(frozen=True, slots=True)
class ObjectRun:
    """Run on object storage, owned by this process.

    Attributes:
        place: place of the run.
        claim: claim of this process.
        directory: local folder that the run works in.
        segments: segments of the log that were there before.
    """

    place: RunPlace
    claim: Claim
    directory: Path
    segments: tuple[Segment, ...] = ()

    def shipper(self) -> LogShipper:
        """Shipping of the log in the local folder."""
        return LogShipper(self.directory / LOG_FILE, self.place, self.claim, self.segments)

    def upload(self) -> None:
        """Upload all files of the local folder but the log and what only this process needs.

        Raises:
            InfrastructureError: a file cannot be written.
        """
        try:
            for path in sorted(self.directory.rglob("*")):
                name = str(path.relative_to(self.directory))
                passing = name.startswith(("log.", "control/")) or name.endswith((".partial", ".lock"))
                if path.is_file() and not passing and name != STATUS_FILE:
                    self.place.copy_in(path, name)
        except OSError as error:
            raise InfrastructureError(
                f"{self.place.name} cannot be written: {error}. The results are in {self.directory}"
            ) from error

    def withdraw(self) -> None:
        """Remove what was written for a run that could not begin."""
        for folder in ("", "owner", "log", "control"):
            for name in self.place.files(folder):
                self.place.remove(f"{folder}/{name}" if folder else name)


def is_claimed(url: str) -> bool:
    """True if a driver has begun a run at a URL.

    Raises:
        UserError: the URL cannot be read.
    """
    place = run_place(url)
    try:
        return bool(claims_of(place))
    except OSError as error:
        raise UserError(f"{place.name} must be a URL that can be read but {error}") from None


def new_object_run(url: str) -> ObjectRun:
    """Claim a URL for a new run.

    Raises:
        UserError: there is a run, or the URL cannot be written.
    """
    place = run_place(url)
    try:
        if claims_of(place):
            raise UserError(
                f"{place.name} exists. Resume its run with --resume {place.name} or choose another URL."
            )
        claim = claim_run(place)
    except OSError as error:
        raise UserError(f"{url_of(url)} must be a URL that can be written but {error}") from None
    return ObjectRun(place, claim, _folder_of(place, claim))


def taken_object_run(url: str, patience: float = SILENT_SECONDS, *, again: bool = False) -> ObjectRun:
    """Take over a run on object storage, once its driver is silent, and fetch its log and job.

    Args:
        url: URL of the run.
        patience: seconds for which its driver must be silent.
        again: True if its job is submitted again, so that it need not be there.

    Raises:
        UserError: there is no run, or a driver works on it.
        InfrastructureError: another driver takes it over at the same time.
    """
    place = run_place(url)
    try:
        if not again and place.read(JOB_FILE) is None:
            raise missing_run(place.name, JOB_FILE, "a run that was started")
        wait_for_silence(place, patience)
        claim = claim_run(place)
        segments = published_segments(place)
        publish_manifest(place, claim, list(segments))
        directory = _folder_of(place, claim)
        for name in (JOB_FILE, RUN_FILE):
            if (content := place.read(name)) is not None:
                (directory / name).write_bytes(content)
        if segments:
            restore_log(place, segments, directory / LOG_FILE)
        if segments and last_rows(directory / LOG_FILE) != dict(segments[-1].upto):
            raise UserError(
                f"{place.name}: the log's segments do not follow each other, so the log is lost"
            )
    except OSError as error:
        raise UserError(f"{place.name} must be a run that can be read and written but {error}") from None
    return ObjectRun(place, claim, directory, segments)


def _folder_of(place: RunPlace, claim: Claim) -> Path:
    """A new folder of this machine, named by URL and claim."""
    digest = hashlib.sha256(place.name.encode()).hexdigest()[:8]
    folder = scratch_folder() / f"{place.name.rpartition('/')[2]}-{digest}-{claim.name}"
    folder.mkdir()
    return folder

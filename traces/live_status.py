"""Status of a run as its driver publishes it: ``status.json`` in the run directory.

The driver replaces the file about every second while it works, and once more when it ends, whatever the end
is. Anybody may read it, on any machine that sees the run directory, without Ray.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from testbudget.rewards.errors import UserError
from testbudget.traces.run_place import RunPlace

STATUS_FILE = "status.json"
"""Name of the file in a run directory."""

STATUS_FORMAT = 1
"""Version of the file's fields."""

SILENT_SECONDS = 15.0
"""Age of a status from which its driver counts as silent; a driver writes about every second."""

RUNNING, PAUSED, STOPPED, FAILED, FINISHED = STATES = ("running", "paused", "stopped", "failed", "finished")
"""States of a run. ``stopped``: its driver was interrupted; ``failed``: an error ended it."""


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """Workers of one kind.

    Attributes:
        workers: number of workers that are alive and ready.
        busy: pieces of work in progress.
        queued: pieces of work that wait.
        starting: workers that were asked for and are not ready.
        started: workers that were ever ready.
        restarted: workers that were started in the place of one that was lost.
        quarantined: calls that were given up because workers died of them.
        waiting: sentence on what is waited for; empty if nothing is.
    """

    workers: int = 0
    busy: int = 0
    queued: int = 0
    starting: int = 0
    started: int = 0
    restarted: int = 0
    quarantined: int = 0
    waiting: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStatus:
    """Status of a run. Amounts are by quantity: tests, executions, tokens, gpu_seconds, cpu_seconds, usd.

    Attributes:
        run: id of the run, 12 hexadecimal digits.
        state: one of ``STATES``.
        phase: preparation, tests, results or done.
        error: sentence on what ended the run; None unless it failed.
        host: name of the driver's host.
        pid: process of the driver.
        version: version of testbudget.
        written: time of this status, in seconds since 1970.
        seconds: wall-seconds on the clock of the run, all drivers together.
        cap: the limits that are set.
        spent: charged for work that is done.
        lost: charged for work that nobody has, such as open leases of lost workers.
        in_flight: reserved for tests that are not told, and leased to workers.
        rates: amounts per second, over about the last half minute.
        seconds_left: estimated seconds until a limit is reached; None if unknown.
        problems: numbers of problems: all, prepared, with_votes, settled, labelled, quarantined.
        tasks: number of unfinished tasks by state.
        verdicts: number of verdicts by kind, since this driver began.
        pools: workers by kind.
    """

    run: str
    state: str
    phase: str
    error: str | None = None
    host: str = ""
    pid: int = 0
    version: str = ""
    written: float = 0.0
    seconds: float = 0.0
    cap: Mapping[str, float] = field(default_factory=dict)
    spent: Mapping[str, float] = field(default_factory=dict)
    lost: Mapping[str, float] = field(default_factory=dict)
    in_flight: Mapping[str, float] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    seconds_left: float | None = None
    problems: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, int] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    pools: Mapping[str, PoolStatus] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """True if the driver was at work when it wrote this."""
        return self.state in (RUNNING, PAUSED)

    def silent_for(self, now: float) -> float:
        """Seconds since a driver at work was heard, at a time in seconds since 1970; 0 after its end."""
        return max(0.0, now - self.written) if self.is_live else 0.0


def status_fields(status: LiveStatus) -> dict[str, Any]:
    """Fields of a status as plain values, with the version of the format."""
    return {"format": STATUS_FORMAT, **dataclasses.asdict(status)}


def write_live_status(status: LiveStatus, place: RunPlace) -> None:
    """Replace the status of a run.

    Raises:
        OSError: the file cannot be written.
    """
    place.write(STATUS_FILE, json.dumps(status_fields(status), ensure_ascii=False).encode() + b"\n")


def read_live_status(place: RunPlace) -> LiveStatus | None:
    """Status of a run; None if its driver has never written one.

    Raises:
        UserError: the file cannot be read, or is of another version.
    """
    name = f"{place.name}/{STATUS_FILE}"
    try:
        if (content := place.read(STATUS_FILE)) is None:
            return None
        fields = json.loads(content)
        if (found := fields.pop("format")) != STATUS_FORMAT:
            raise UserError(
                f"{name} must be of the format {STATUS_FORMAT} but is of {found}: read it with the version "
                "of testbudget that runs the job"
            )
        pools = {kind: PoolStatus(**pool) for kind, pool in fields.pop("pools").items()}
        return LiveStatus(**fields, pools=pools)
    except OSError as error:
        raise UserError(f"{name} must be a file that can be read but {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{name} must be the status of a run but it cannot be read: {error}") from None

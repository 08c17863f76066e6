"""``testbudget status``: a run as its driver last published it, live or finished."""

import time
from typing import Any

from cyclopts import App

from testbudget.cli.console import print_json, status_console
from testbudget.cli.options import Json
from testbudget.rewards.errors import UserError
from testbudget.traces.live_status import SILENT_SECONDS, LiveStatus, read_live_status, status_fields
from testbudget.traces.missing_run import missing_run
from testbudget.traces.run_place import LocalPlace, RunPlace, run_place

app = App(
    name="status",
    help_epilogue="""Examples:

  testbudget status runs/job
  testbudget status s3://bucket/runs/job --json

Keys of --json: docs/command_line.md""",
)

_SHOWN = ("tests", "executions", "tokens", "gpu_seconds", "cpu_seconds", "usd")


@app.default
def status(run: str, /, *, json: Json = False) -> None:
    """Show how far a run is: its cap, what is spent and in flight, its problems and its workers.

    The run's own files are read, so it works from any process and machine that
    sees them, without Ray, while the run goes and after its end.

    Args:
        run: Run directory, or its URL on object storage.
    """
    place = run_place(run)
    found = read_live_status(place)
    if found is None:
        found = _finished(place)
    silent = found.silent_for(time.time())
    is_silent = silent > SILENT_SECONDS
    if json:
        print_json({**status_fields(found), "silent_seconds": silent if is_silent else 0.0})
        return
    console = status_console(json)
    for line in status_lines(place.name, found, silent if is_silent else 0.0):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _finished(place: RunPlace) -> LiveStatus:
    """Status of a run that was made without one, such as one whose votes were imported."""
    from testbudget.traces.run_info import RUN_FILE, read_run_info  # loads the libraries of tables

    try:
        begun = place.read("job.yaml") is not None or place.read(RUN_FILE) is not None
        whole = place.read("candidates.parquet") is not None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{place.name} must be a run that can be read but {reason}") from None
    if not begun and not whole:
        raise missing_run(place.name, "job.yaml")
    if not whole:
        return LiveStatus(run="", state="running", phase="preparation", written=_last_written(place))
    info = read_run_info(place.folder) if isinstance(place, LocalPlace) else None
    books = {} if info is None else info.books
    return LiveStatus(
        run="" if info is None else info.run,
        state="finished",
        phase="done",
        spent=books.get("spent", {}),
        lost=books.get("lost", {}),
    )


def _last_written(place: RunPlace) -> float:
    """Time of the newest file of a run in seconds since the epoch; now if it cannot be seen from here."""
    if isinstance(place, LocalPlace):
        return max(file.stat().st_mtime for file in place.folder.iterdir())
    return time.time()


def status_lines(name: str, status: LiveStatus, silent: float) -> list[str]:
    """A status as lines of text.

    Args:
        name: path or URL of the run.
        status: the status.
        silent: seconds for which the driver has been silent; 0 if it is not.
    """
    lines = [f"{name}: {_state(status)}"]
    if silent:
        driver = f"driver (process {status.pid} on {status.host})" if status.host else "driver"
        lines.append(
            f"  its {driver} has been silent for {silent:,.0f} s; if it is gone, continue with "
            f"testbudget run --resume {name}"
        )
    if status.error and status.state != "finished":
        lines.append(f"  {status.error}")
    lines += [
        f"  {unit:<12} {_amounts(status, unit, status.cap.get(unit))}"
        for unit in _SHOWN
        if unit in status.cap or status.spent.get(unit)
    ]
    if status.seconds_left is not None:
        lines.append(f"  time left    about {_duration(status.seconds_left)} at this rate")
    if status.problems:
        counts: dict[str, Any] = dict(status.problems)
        lines.append(
            f"  problems     {counts['settled']} of {counts['all']} settled, {counts['with_votes']} with "
            f"votes, {counts['prepared']} prepared, {counts['labelled']} labelled, "
            f"{counts['quarantined']} quarantined"
        )
    for kind, pool in status.pools.items():
        parts = [f"{pool.workers} alive", f"{pool.busy} calls in progress", f"{pool.queued} waiting"]
        parts += [
            f"{number} {what}"
            for number, what in (
                (pool.starting, "starting"),
                (pool.restarted, "restarted"),
                (pool.quarantined, "calls quarantined"),
            )
            if number
        ]
        lines.append(f"  {kind.replace('_', ' '):<12} {', '.join(parts)}")
        if pool.waiting:
            lines.append(f"               {pool.waiting}")
    return lines


def _state(status: LiveStatus) -> str:
    if not status.is_live:
        return status.state
    clock = f", {_duration(status.seconds)} on its clock" if status.seconds else ""
    return f"{status.state} ({status.phase}{clock})"


def _amounts(status: LiveStatus, unit: str, limit: float | None) -> str:
    of = f" of {limit:,.10g}" if limit is not None else ""
    parts = [f"{status.spent.get(unit, 0.0):,.10g}{of} spent"]
    for amounts, what in ((status.in_flight, "in flight"), (status.lost, "lost")):
        if amount := amounts.get(unit, 0.0):
            parts.append(f"{amount:,.6g} {what}")
    if status.is_live and (rate := status.rates.get(unit, 0.0)):
        parts.append(f"{rate:,.3g} per second")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

"""``testbudget ctl``: ask the driver of a run to pause, to go on, to take another cap, or to stop."""

import math
import time
from typing import Literal

from cyclopts import App

from testbudget.rewards.errors import UserError
from testbudget.traces.live_status import SILENT_SECONDS, STATUS_FILE, read_live_status
from testbudget.traces.missing_run import missing_run
from testbudget.traces.run_place import RunPlace, run_place
from testbudget.traces.run_requests import ask_driver

app = App(
    name="ctl",
    usage="Usage: testbudget ctl RUN (pause | continue | cap UNIT=VALUE ... | stop)",
    help_epilogue="""Examples:

  testbudget ctl runs/job pause              finish what is in flight
  testbudget ctl runs/job continue
  testbudget ctl runs/job cap tests=20000    raise or lower a limit of the cap
  testbudget ctl runs/job stop               end the driver, to resume""",
)


@app.default
def ctl(run: str, action: Literal["pause", "continue", "cap", "stop"], /, *limits: str) -> None:
    """Steer a run that goes. Its driver does what is asked, and says so.

    The request is a small file beside the run, so this works from any process
    and machine that sees the run, without Ray. A limit must not be below what
    is spent or in flight.

    Args:
        run: Run directory, or its URL on object storage.
        action: What to ask for.
        limits: New limits, such as tests=20000.
    """
    wanted = _limits(action, limits)
    place = run_place(run)
    _check_driver(place)
    try:
        print(ask_driver(place, action, wanted))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{place.name} must be a run that can be written but {reason}") from None


def _limits(action: str, words: tuple[str, ...]) -> dict[str, float]:
    if (action == "cap") != bool(words):
        rule = "needs limits, such as tests=20000" if action == "cap" else "takes no limits"
        raise UserError(f"{action} {rule}")
    limits = {}
    for word in words:
        unit, _, text = word.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not unit or not 0 < value < math.inf:
            raise UserError(f"a limit must be UNIT=VALUE with a positive number but got {word}")
        limits[unit] = value
    return limits


def _check_driver(place: RunPlace) -> None:
    """Refuse a run that no driver works on."""
    status = read_live_status(place)
    if status is None:
        raise missing_run(place.name, STATUS_FILE, "a run that goes")
    if not status.is_live:
        goes_on = (
            "" if status.state == "finished" else f"; continue it with testbudget run --resume {place.name}"
        )
        raise UserError(f"{place.name} must be a run that goes but it is {status.state}{goes_on}")
    if (silent := status.silent_for(time.time())) > 20 * SILENT_SECONDS:
        raise UserError(
            f"{place.name} must be a run that goes but its driver (process {status.pid} on {status.host}) "
            f"has been silent for {silent:,.0f} s; continue it with testbudget run --resume {place.name}"
        )

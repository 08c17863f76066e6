"""Ownership of a run on object storage: one claim per driver, the last epoch counts.

Object stores that pyarrow opens have no locks. A driver writes a claim, ``owner/EPOCH-NONCE.json``, with an
epoch above all others, and puts the epoch and its nonce into the name of all that it ships. The claim with
the highest epoch owns the run; of two with one epoch the smaller nonce does. A driver looks before it
publishes a manifest, so one that was believed lost and comes back ends itself. What it may publish between
its look and its end is in files of its own, which the new owner never reads.
"""

import json
import os
import platform
import secrets
import time
from dataclasses import dataclass

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.traces.live_status import SILENT_SECONDS, read_live_status
from testbudget.traces.run_info import now
from testbudget.traces.run_place import RunPlace

_FOLDER = "owner"
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim of one driver.

    Attributes:
        epoch: number of the driver, from 1.
        nonce: random digits.
    """

    epoch: int
    nonce: str

    @property
    def name(self) -> str:
        """The part of file names that says whose they are."""
        return f"{self.epoch:06d}-{self.nonce}"

    @property
    def order(self) -> tuple[int, str]:
        """The smallest of several claims owns the run."""
        return -self.epoch, self.nonce


def claim_run(place: RunPlace) -> Claim:
    """Claim a run for this process.

    Raises:
        InfrastructureError: another driver has claimed it at the same time.
        OSError: the place cannot be read or written.
    """
    claim = Claim(max((other.epoch for other in claims_of(place)), default=0) + 1, secrets.token_hex(4))
    content = {"host": platform.node(), "pid": os.getpid(), "claimed": now()}
    place.write(f"{_FOLDER}/{claim.name}.json", json.dumps(content).encode())
    check_claim(place, claim)
    return claim


def check_claim(place: RunPlace, claim: Claim) -> None:
    """Check that a claim still owns the run.

    Raises:
        InfrastructureError: another driver has taken the run over.
        OSError: the place cannot be read.
    """
    owner = min(claims_of(place), key=lambda other: other.order, default=claim)
    if owner != claim:
        raise InfrastructureError(
            f"{place.name} was taken over by another driver (epoch {owner.epoch}), so this one ends; see "
            f"testbudget status {place.name}"
        )


def claims_of(place: RunPlace) -> list[Claim]:
    """All claims on a run.

    Raises:
        OSError: the place cannot be read.
    """
    found = []
    for name in place.files(_FOLDER):
        epoch, _, nonce = name.removesuffix(".json").partition("-")
        if epoch.isdigit() and nonce:
            found.append(Claim(int(epoch), nonce))
    return found


def wait_for_silence(place: RunPlace, patience: float = SILENT_SECONDS) -> None:
    """Wait until it is clear that no driver works on the run.

    A driver replaces the status every few seconds; one that does not for ``patience`` seconds is lost.
    Clocks of different machines are not compared.

    Raises:
        UserError: a driver works on it.
    """
    first = read_live_status(place)
    if first is None or not first.is_live:
        return
    if first.host == platform.node() and not _lives(first.pid):
        return
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        time.sleep(min(_POLL_SECONDS, patience))
        status = read_live_status(place)
        if status is None or not status.is_live:
            return
        if status.written != first.written:
            raise UserError(
                f"{place.name} is in use: process {status.pid} on {status.host} is running it. Look at it "
                f"with testbudget status {place.name}, or end it with testbudget ctl {place.name} stop"
            )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

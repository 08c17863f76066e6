"""Stopped processes of candidates that have reached their first limit, kept until they are wanted."""

from collections.abc import Sequence
from typing import NamedTuple

from testbudget.executors.execution.judging.pair_table import Pair
from testbudget.executors.execution.processes.live_process import LimitKind, LiveProcess
from testbudget.executors.execution.processes.supervisor import Supervisor

_MAX_STOPPED = 4


class StoppedProcess(NamedTuple):
    """Stopped process.

    Attributes:
        process: the process.
        step: the step that it was working on.
        cpu_seconds, wall_seconds: seconds that it used until it was stopped.
    """

    process: LiveProcess
    step: int
    cpu_seconds: float
    wall_seconds: float


class Loopers:
    """Stopped processes by pair, at most four; a pair whose process is gone is run afresh when wanted.

    Args:
        supervisor: ends the processes.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._stopped: dict[Pair, StoppedProcess] = {}

    def __contains__(self, pair: Pair) -> bool:
        return pair in self._stopped

    def keep(self, pair: Pair, looper: StoppedProcess) -> None:
        """Keep a process, unless that could matter to others; the oldest one is ended if there are many."""
        if not self._supervisor.may_stay_stopped():
            self._end(looper)
            return
        self._supervisor.directory.set_aside(str(looper.process.process))
        self._stopped[pair] = looper
        if len(self._stopped) > _MAX_STOPPED:
            self._end(self._stopped.pop(next(iter(self._stopped))))

    def take(self, pair: Pair) -> StoppedProcess | None:
        """Process of a pair, no longer kept; None if it is gone, or its directory is."""
        looper = self._stopped.pop(pair, None)
        if looper is None or self._supervisor.directory.bring_back(str(looper.process.process)):
            return looper
        self._end(looper)
        return None

    def end(self, pairs: Sequence[Pair] | None = None) -> None:
        """End the processes of some pairs, by default of all."""
        for pair in list(self._stopped) if pairs is None else pairs:
            if (looper := self._stopped.pop(pair, None)) is not None:
                self._end(looper)

    def _end(self, looper: StoppedProcess) -> None:
        self._supervisor.end(looper.process, limit=LimitKind.FIRST)

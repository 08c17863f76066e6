"""Process that does one work after another, and is replaced by a new one once it has ended.

It may end while it waits, as where memory is short. No work has to do with that.
"""

from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.live_process import LimitKind, LiveProcess, ProcessEnd
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.supervisor import Supervisor


class StayingProcess:
    """Process that stays as long as no work ends it.

    Args:
        supervisor: watches the process.
        fork_server: source of the process.
        stays: False for a new process for each work.
    """

    def __init__(self, supervisor: Supervisor, fork_server: ForkServer, *, stays: bool = True) -> None:
        self._supervisor = supervisor
        self._fork_server = fork_server
        self._stays = stays
        self._process: LiveProcess | None = None

    def run(self, work: Work) -> ProcessEnd:
        """Do a work until it has finished, or has ended its process, or exceeds a limit.

        Raises:
            OSError: no process could be forked.
        """
        process = self.start(work)
        (ended,) = self.end(limit=self._supervisor.watch(process))
        return ended

    def start(self, work: Work) -> LiveProcess:
        """Give work to the process, or to a new one if there is none; ``end`` must follow.

        Raises:
            OSError: no process could be forked.
        """
        staying = work._replace(stays=self._stays)
        if self._process is not None and self._process.has_ended():
            self._supervisor.discard(self._process)
            self._process = None
        if self._process is None:
            self._process = self._fork_server.start(staying)
        else:
            self._supervisor.begin(self._process, staying)
        return self._process

    def end(self, *others: LiveProcess, limit: LimitKind | None) -> list[ProcessEnd]:
        """Ends of the process and of others that worked for it; it stays if it has finished its work.

        Args:
            others: processes that nobody needs any more. They are killed if they are still alive.
            limit: limit that was reached; None if the process has finished or ended.
        """
        process, self._process = self._process, None
        assert process is not None
        if limit is not None or not process.has_finished():
            return self._supervisor.end(process, *others, limit=limit)
        self._process = process
        so_far = process.so_far()
        return [so_far, *self._supervisor.end(*others, finished=True)]

    def dismiss(self) -> None:
        """Let the process end, if there is one."""
        if self._process is not None:
            self._supervisor.dismiss(self._process)
            self._process = None

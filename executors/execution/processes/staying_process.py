"""Process that does one work after another, and is replaced by a new one once it has ended."""

from testbudget.executors.execution.processes.fork_server import ForkServer
from testbudget.executors.execution.processes.live_process import LiveProcess, ProcessEnd
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.supervisor import Supervisor


class StayingProcess:
    """Process that stays as long as no work ends it.

    Args:
        supervisor: watches the process.
        fork_server: source of the process.
    """

    def __init__(self, supervisor: Supervisor, fork_server: ForkServer) -> None:
        self._supervisor = supervisor
        self._fork_server = fork_server
        self._process: LiveProcess | None = None

    def run(self, work: Work) -> ProcessEnd:
        """Do a work until it has finished, or has ended its process, or exceeds a limit.

        Raises:
            OSError: no process could be forked.
        """
        staying = work._replace(stays=True)
        if self._process is None:
            self._process = self._fork_server.start(staying)
        else:
            self._supervisor.begin(self._process, staying)
        process = self._process
        limit = self._supervisor.watch(process)
        if limit is None and process.has_finished():
            self._supervisor.directory.renew()
            return process.so_far()
        self._process = None
        (ended,) = self._supervisor.end(process, limit=limit)
        return ended

    def dismiss(self) -> None:
        """Let the process end, if there is one."""
        if self._process is not None:
            self._supervisor.dismiss(self._process)
            self._process = None

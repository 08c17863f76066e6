"""A back end that does nothing by itself: tests answer its work by hand."""

from testbudget.scheduler.backends.base import Backend, PoolUse
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.records import Piece

PIECE = Piece("worker", 1.0, 2.0, 3.0)


class ManualBackend(Backend):
    """Keeps what it was told to do.

    Attributes:
        submitted: work, in order.
        leases, aborted, retired: as commanded.
        runners: use of the runners.
    """

    def __init__(self) -> None:
        self.submitted, self.leases, self.aborted, self.retired = [], [], [], []
        self.runners = PoolUse(2, 0, 0)

    def submit(self, work):
        self.submitted.append(work)

    def wait(self, timeout=None):
        return []

    def lease(self, worker, until):
        self.leases.append((worker, until))

    def abort(self, keys):
        self.aborted += keys

    def retire(self, kind):
        self.retired.append(kind)

    def isolation(self, language):
        return f"{language} is not run"

    def tests_available(self, problem):
        return None

    def pools(self):
        return {WorkerKind.RUNNER: self.runners}

    @property
    def seconds(self):
        return 0.0

    def close(self):
        pass

"""The loop of a run: append what happened to the log, fold it into the core, send the core's commands.

It is the only loop that submits work and waits for it. In each step

1. the back end, or the dispatcher itself, says what happened;
2. the log makes it durable;
3. the store and the core change by it, and by nothing else;
4. the commands of the core are sent.

A step that fails before 2 has changed nothing, so a run that ends anywhere is continued from its log.
"""

from collections.abc import Callable, Iterable, Sequence

from testbudget.rewards.errors import UserError
from testbudget.scheduler.backends.base import Backend, Report
from testbudget.scheduler.core.events import Command, DriverRestarted, Lease, RunStarted
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.dispatch import Dispatcher
from testbudget.scheduler.event_log import Entry, EventLog, Note
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.log_tables import POOLS
from testbudget.scheduler.outside import Outside
from testbudget.scheduler.work.open_work import Answer

_WAIT_SECONDS = 1.0
_POOLS_SECONDS = 1.0  # between two notes of the pools' use, on the back end's clock


class Driver:
    """Driver of one run.

    Args:
        scheduler: core of the run, not started.
        log: log whose first entries are the header of the run.
        store: records of the log so far.
        backend: carries out work.
        dispatcher: between core and back end.
        outside: steers the run and shows it; None if nobody does.

    Attributes:
        now: time of the entry that is folded, in seconds on the clock of the run. It goes on where an
            earlier driver has stopped.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        log: EventLog,
        store: EvidenceStore,
        backend: Backend,
        dispatcher: Dispatcher,
        outside: Outside | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._log = log
        self._store = store
        self._backend = backend
        self._dispatcher = dispatcher
        self._outside = outside or Outside()
        self._before = 0.0  # seconds of earlier drivers
        self._pools_noted = -_POOLS_SECONDS
        self.now = 0.0

    def run_loop(self, watch: Callable[[], None] = lambda: None, reports: Sequence[Report] = ()) -> None:
        """Begin or continue the run, and return when nothing more will happen.

        Args:
            watch: called after each step.
            reports: reports of the back end's workers that came before.

        Raises:
            UserError: the log was made by another version, or the job names something that cannot be used.
            InfrastructureError: work or the log failed. The run can be continued.
            RunStopped: it was asked for from outside. The run can be continued.
        """
        answers = [*self._dispatcher.send(self._begin()), *self._dispatcher.receive(reports)]
        while not self._scheduler.finished:
            answers = answers or self._dispatcher.receive(self._backend.wait(_WAIT_SECONDS))
            answers = [*answers, *self._outside.requests(idle=not answers)]
            answers = self._dispatcher.send(self._take(answers))
            watch()

    def _begin(self) -> list[Command]:
        """The first commands of a new run, or all unfinished ones of a run that was interrupted."""
        started = self._scheduler.start()
        if not self._replay(started):
            return started
        if self._scheduler.finished:
            return []
        commands = self._take([Answer(DriverRestarted())])
        return commands + self._scheduler.pending()

    def _take(self, answers: Sequence[Answer]) -> list[Command]:
        """Log answers, then fold them into store and core; return the commands of the core."""
        now = self._before + self._backend.seconds
        entries = [Entry(answer.event, now, answer.records) for answer in self._with_pools(answers)]
        if not entries:
            return []
        self._log.append(entries, issued=len(self._scheduler.tasks))
        self._outside.logged(entries)
        commands: list[Command] = []
        for entry in entries:
            self._store.apply(entry)
            commands += self._fold(entry, [record.problem for record in entry.records])
        if any(isinstance(command, Lease) for command in commands):
            self._outside.before_leases()
        return commands

    def _replay(self, started: Iterable[Command]) -> bool:
        """Fold the log; return False if it holds no event but the header."""
        self._dispatcher.replay(started)
        events = 0
        for entry, problems in self._log.light_entries():
            issued = len(self._scheduler.tasks)
            if entry.issued is not None and entry.issued != issued:
                raise UserError(
                    f"the log must have been made by this version of testbudget but it has {entry.issued} "
                    f"tasks where this one has {issued}: continue the run with the version that began it"
                )
            self._before = entry.time
            self._dispatcher.replay(self._fold(entry, problems))
            events += not isinstance(entry.event, Note | RunStarted)
        return events > 0

    def _fold(self, entry: Entry, problems: Sequence[str]) -> list[Command]:
        self.now = entry.time
        self._dispatcher.apply(entry.event, problems)
        if isinstance(entry.event, Note | RunStarted):
            return []
        return self._scheduler.handle(entry.event)

    def _with_pools(self, answers: Sequence[Answer]) -> Sequence[Answer]:
        if self._backend.seconds < self._pools_noted + _POOLS_SECONDS:
            return answers
        self._pools_noted = self._backend.seconds
        pools = self._backend.pools()
        if not pools:
            return answers
        use = {
            kind.name.lower(): {"workers": pool.workers, "busy": pool.busy, "queued": pool.queued}
            for kind, pool in pools.items()
        }
        return [*answers, Answer(Note(POOLS, use))]

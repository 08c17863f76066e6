"""Kinds of workers that have no more work, or get no new work, so that what they hold is freed early."""

from testbudget.scheduler.core.events import Command, Ints, Retire, WindDown, WorkerKind
from testbudget.scheduler.core.tasks import TaskState


class LettingGo:
    """Commands that let workers go, each kind once."""

    def __init__(self) -> None:
        self._retired: set[WorkerKind] = set()
        self._wound_down: set[WorkerKind] = set()

    def due(self, count: Ints, *, granted_all: bool) -> list[Command]:
        """Commands for the kinds that have no more work now, or get no new work.

        Args:
            count: int64 (states,), number of tasks in each state.
            granted_all: True if no more tests will be granted.
        """
        retired, winding = (
            set[WorkerKind](),
            {WorkerKind.POLICY_MODEL},
        )  # all candidates are asked for at once
        if not count[TaskState.SAMPLING]:
            retired.add(WorkerKind.POLICY_MODEL)
            winding.add(WorkerKind.EXTRACTOR)
            if not count[TaskState.EXTRACTING]:
                retired.add(WorkerKind.EXTRACTOR)
        if granted_all:
            winding.add(WorkerKind.REWARD_MODEL)
            if not count[TaskState.GENERATING]:
                retired.add(WorkerKind.REWARD_MODEL)
        new, newly_winding = retired - self._retired, winding - retired - self._wound_down
        self._retired |= new
        self._wound_down |= winding
        return [*map(WindDown, sorted(newly_winding)), *map(Retire, sorted(new))]

    def again(self) -> list[Command]:
        """All commands so far, for a driver that continues the run."""
        return [
            *map(WindDown, sorted(self._wound_down - self._retired)),
            *map(Retire, sorted(self._retired)),
        ]

    def reopen(self) -> None:
        """Take note that tests may be granted again."""
        self._retired.discard(WorkerKind.REWARD_MODEL)
        self._wound_down.discard(WorkerKind.REWARD_MODEL)

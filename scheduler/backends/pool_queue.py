"""Queue of a pool: the order in which work is sent, and the worker that each piece goes to."""

import heapq
from collections.abc import Callable, Collection, Hashable, Iterator

from testbudget.scheduler.backends.base import Work
from testbudget.scheduler.backends.pool_members import PoolItem, PoolWorker
from testbudget.scheduler.backends.pool_plan import PoolPlan

_MOST_HOMES = 1 << 17  # problems whose worker is remembered
_EXTRA_LOAD = 4  # a worker that knows the problem may have a quarter of its capacity more load than another

MayWork = Callable[[PoolWorker, PoolItem], bool]
"""Type of a function that says whether a worker may do a piece of work now."""


class PoolQueue:
    """Work that waits, in the order of submission; a piece that has seen a worker die is a *suspect*.

    Suspects go first, each to a worker with little or no other work. If there is none, one worker gets no
    new work until it can take them; the others go on.

    Args:
        plan: plan of the pool.
    """

    def __init__(self, plan: PoolPlan) -> None:
        self._plan = plan
        self._waiting: list[tuple[int, PoolItem]] = []  # heaps
        self._suspects: list[tuple[int, PoolItem]] = []
        self._ward: PoolWorker | None = None  # the worker that is kept free for suspects
        self._homes: dict[str, int] = {}  # number of the last worker by problem, the latest last

    def __len__(self) -> int:
        return len(self._waiting) + len(self._suspects)

    def put(self, *items: PoolItem) -> None:
        """Let pieces of work wait."""
        for item in items:
            heapq.heappush(self._suspects if item.deaths else self._waiting, (item.number, item))

    def drop(self, keys: Collection[Hashable]) -> None:
        """Drop the work with these keys."""
        for heap in (self._waiting, self._suspects):
            heap[:] = [entry for entry in heap if entry[1].work.key not in keys]
            heapq.heapify(heap)

    def clear(self) -> None:
        """Drop all work."""
        self._waiting.clear()
        self._suspects.clear()

    def assign(
        self, workers: Collection[PoolWorker], may_work: MayWork
    ) -> Iterator[tuple[PoolWorker, tuple[PoolItem, ...], int]]:
        """Give work to workers that are ready, as far as they have room for it.

        Args:
            workers: workers of the pool.
            may_work: whether a worker may do a piece of work.

        Yields:
            Each worker with the work of one call and its load, which are on the worker's account already.
        """
        if not len(self):
            return
        able = {worker.number: worker for worker in workers if worker.ready and not worker.leaving}
        heap = [(worker.load, worker.number) for worker in able.values()]
        heapq.heapify(heap)
        while self._suspects:
            suspect = self._suspects[0][1]
            if (found := self._worker(suspect, able, heap, may_work)) is None:
                break
            yield self._taken(found, (heapq.heappop(self._suspects)[1],), heap)
        self._keep_one_free(able)
        if self._ward is not None:
            heap = [entry for entry in heap if entry[1] != self._ward.number]
            heapq.heapify(heap)
        while self._waiting:
            if (found := self._worker(self._waiting[0][1], able, heap, may_work)) is None:
                return
            first = heapq.heappop(self._waiting)[1]
            items = [first]
            while first.failed_on is None and self._waiting and len(items) < self._plan.batch:
                if self._waiting[0][1].failed_on is not None:
                    break
                items.append(heapq.heappop(self._waiting)[1])
            yield self._taken(found, tuple(items), heap)

    def _keep_one_free(self, able: dict[int, PoolWorker]) -> None:
        """Choose the worker that gets no other work while suspects wait."""
        if not self._suspects:
            self._ward = None
        elif self._ward is None or self._ward.number not in able:
            self._ward = min(able.values(), key=lambda worker: worker.load, default=None)

    def _worker(
        self,
        item: PoolItem,
        able: dict[int, PoolWorker],
        heap: list[tuple[int, int]],
        may_work: MayWork,
    ) -> PoolWorker | None:
        """The least loaded worker with room for a piece of work, another one than it has failed on."""
        load = self._plan.load(item.work)
        others = len(able) > (item.failed_on in able)

        def can(worker: PoolWorker) -> bool:
            return (
                not (others and worker.number == item.failed_on)
                and worker.has_room(item, load, self._plan.capacity)
                and may_work(worker, item)
            )

        unfit: list[tuple[int, int]] = []
        found = None
        while heap and found is None:
            entry = heapq.heappop(heap)
            worker = able[entry[1]]
            if entry[0] != worker.load:  # it has got work since the entry was made
                continue
            unfit.append(entry)
            if can(worker):
                found = worker
        for entry in unfit:
            heapq.heappush(heap, entry)
        if found is not None and self._plan.affine:
            home = able.get(self._homes.get(_problem(item.work), -1))
            most = found.load + self._plan.capacity // _EXTRA_LOAD
            if home is not None and home is not self._ward and home.load <= most and can(home):
                return home
        return found

    def _taken(
        self, worker: PoolWorker, items: tuple[PoolItem, ...], heap: list[tuple[int, int]]
    ) -> tuple[PoolWorker, tuple[PoolItem, ...], int]:
        load = max(self._plan.load(item.work) for item in items)
        worker.load += load
        worker.items.update(dict.fromkeys(items))
        heapq.heappush(heap, (worker.load, worker.number))
        if self._plan.affine:
            problem = _problem(items[0].work)
            self._homes.pop(problem, None)
            self._homes[problem] = worker.number
            if len(self._homes) > _MOST_HOMES:
                del self._homes[next(iter(self._homes))]
        return worker, items, load


def _problem(work: Work) -> str:
    return work.problem if isinstance(work.problem, str) else work.problem.id

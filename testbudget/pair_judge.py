"""Verdicts on pairs for callers in any thread, from worker processes that stay warm, with a cache.

In each process one thread per group of settings owns the workers. Callers hand it pairs and wait. A process
that was forked starts workers of its own; a worker ends with the process that started it.
"""

import atexit
import hashlib
import itertools
import os
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.package_choice import NO_PACKAGES, PackageChoice
from testbudget.executors.execution.pair_blocks import Block, PairRequest, group_into_blocks
from testbudget.executors.execution.worker_pool import BlockPool, FinishedBlock
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import NOT_RUN

_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PairJudgeSettings:
    """Settings of the workers.

    Attributes:
        limits: limits of one test.
        runners: maximum number of worker processes.
        require: isolation layers that must be in force.
        trust: trust in the authors of the candidates.
        packages: distributions that Python programs may import.
        cached_pairs: number of pairs whose verdicts are kept, the latest ones.
    """

    limits: TestLimits
    runners: int
    require: tuple[str, ...] = ()
    trust: Trust = Trust.HOSTILE
    packages: PackageChoice = NO_PACKAGES
    cached_pairs: int = 262_144


@dataclass(slots=True, eq=False)
class _Call:
    """Pairs that one caller waits for."""

    missing: int = 0
    found: dict[bytes, int] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)
    error: UserError | None = None


@dataclass(slots=True, eq=False)
class _OpenPair:
    """Pair without a verdict, and the calls that wait for it."""

    request: PairRequest
    calls: list[_Call]


class PairJudge:
    """Judge of pairs. Any number of threads may call it.

    Args:
        settings: settings of the workers, which are started when they are needed.
    """

    def __init__(self, settings: PairJudgeSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()  # of all attributes below
        self._cache: OrderedDict[bytes, int] = OrderedDict()
        self._open: dict[bytes, _OpenPair] = {}
        self._new: list[bytes] = []
        self._restart = self._closed = False
        self._woken, self._wake = socket.socketpair()  # an idle worker's thread waits for the first one
        self._woken.setblocking(False)
        self._thread = threading.Thread(target=self._serve, name="testbudget judge", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """True after ``close``."""
        return self._closed

    def verdicts(self, requests: Sequence[PairRequest], seconds: float) -> list[int | None]:
        """Verdict of each pair, as a value of ``Verdict`` or ``NOT_RUN``.

        Args:
            requests: the pairs.
            seconds: time after which pairs without a verdict are given up.

        Returns:
            None for each pair that the infrastructure gave no verdict on: its sandbox or worker ended each
            time, or the time was up.

        Raises:
            UserError: the settings cannot be used on this machine.
        """
        keys = [_key(request) for request in requests]
        call = _Call()
        with self._lock:
            for key, request in zip(keys, requests, strict=True):
                if (known := self._cache.get(key)) is not None:
                    self._cache.move_to_end(key)
                    call.found[key] = known
                    continue
                pair = self._open.get(key)
                if pair is None:
                    pair = self._open[key] = _OpenPair(request, [])
                    self._new.append(key)
                if call not in pair.calls:
                    pair.calls.append(call)
                    call.missing += 1
            waits = call.missing > 0 and not self._closed
        if waits:
            self._wake_up()
            try:
                call.done.wait(seconds)
            finally:
                self._give_up(call)
        if call.error is not None:
            raise call.error
        return [call.found.get(key) for key in keys]

    def close(self) -> None:
        """End the workers. Pairs that are being judged get no verdict."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._wake_up()
        self._thread.join(_STOP_SECONDS)

    def _wake_up(self) -> None:
        with suppress(OSError):
            self._wake.send(b"\0")

    def _give_up(self, call: _Call) -> None:
        """Forget a call. Workers that judge for nobody any more are replaced."""
        with self._lock:
            if call.missing == 0:
                return
            for key in [key for key, pair in self._open.items() if call in pair.calls]:
                self._open[key].calls.remove(call)
                if not self._open[key].calls:
                    del self._open[key]
            call.missing = 0
            self._restart = True
        self._wake_up()

    def _serve(self) -> None:
        """Main function of the thread: judge open pairs until the end."""
        try:
            while not self._closed:
                with suppress(SandboxError), self._pool() as pool:
                    self._judge(pool)
                with self._lock:
                    if not self._restart:  # the pool failed, so what it was given has no verdict
                        self._finish(self._open.keys() - set(self._new))
                    self._restart = False
                    self._new = [*self._open]
        finally:
            with self._lock:
                self._closed = True
                self._finish(self._open)
            self._woken.close()
            self._wake.close()

    def _pool(self) -> BlockPool:
        settings = self._settings
        return BlockPool(
            settings.limits, settings.runners, settings.require, settings.trust, settings.packages
        )

    def _judge(self, pool: BlockPool) -> None:
        """Run blocks until the judge is closed or its workers must be replaced.

        Raises:
            SandboxError: a block failed twice.
        """
        waiting: deque[Block] = deque()
        numbers = itertools.count()
        keys: dict[int, bytes] = {}  # of the pairs that this pool was given, by number
        while True:
            with self._lock:
                if self._closed or self._restart:
                    return
                taken = [key for key in self._new if key in self._open]
                self._new = []
                requests = [self._open[key].request for key in taken]
            if requests:
                given = {next(numbers): key for key in taken}
                keys |= given
                waiting.extend(group_into_blocks(requests, self._settings.runners, [*given]))
            while waiting and pool.has_room:
                pool.start(waiting.popleft())
            try:
                finished = pool.wait([self._woken.fileno()])
            except UserError as error:
                with self._lock:
                    self._finish(self._open, error=error)
                    self._restart = True
                return
            with suppress(BlockingIOError):
                self._woken.recv(4096)
            for one in finished:
                self._receive(one, [keys.pop(number) for number in one.block.positions.tolist()])

    def _receive(self, finished: FinishedBlock, keys: Sequence[bytes]) -> None:
        """Keep the verdicts of a block, and tell the calls that wait for them."""
        block, judged = finished.block, finished.block_verdicts
        with self._lock:
            for key, row, column in zip(keys, block.rows.tolist(), block.columns.tolist(), strict=True):
                if not judged.lost[row, column]:
                    self._finish([key], int(judged.verdicts[row, column]))
            self._finish(keys)
            while len(self._cache) > self._settings.cached_pairs:
                self._cache.popitem(last=False)

    def _finish(
        self, keys: Iterable[bytes], verdict: int | None = None, error: UserError | None = None
    ) -> None:
        """Close pairs, with or without a verdict. The lock must be held."""
        for key in list(keys):
            if verdict not in (None, NOT_RUN):  # which pairs are left out depends on the others of a block
                self._cache[key] = verdict
            pair = self._open.pop(key, None)
            for call in pair.calls if pair else ():
                if verdict is not None:
                    call.found[key] = verdict
                call.error = call.error or error
                call.missing -= 1
                if call.missing == 0:
                    call.done.set()


def _key(request: PairRequest) -> bytes:
    """Identity of a pair among those of one judge, whose limits are always the same."""
    parts = (
        request.language,
        request.entry_point or "",
        request.kind,
        request.comparison.as_text(),
        request.candidate,
        request.test,
    )
    digest = hashlib.sha256()
    for part in parts:
        text = part.encode(errors="surrogatepass")
        digest.update(b"%d:" % len(text) + text)
    return digest.digest()


_judges: dict[PairJudgeSettings, PairJudge] = {}
_judges_lock = threading.Lock()


def shared_judge(settings: PairJudgeSettings) -> PairJudge:
    """The judge of this process with these settings; it is ended with the process."""
    with _judges_lock:
        judge = _judges.get(settings)
        if judge is None or judge.closed:
            judge = _judges[settings] = PairJudge(settings)
        return judge


def close_judges() -> None:
    """End all judges of this process. The next call starts new ones."""
    with _judges_lock:
        judges = [*_judges.values()]
        _judges.clear()
    for judge in judges:
        judge.close()


def _forget_judges() -> None:
    """In a forked process: the judges, their threads and their workers are those of its parent."""
    global _judges_lock  # noqa: PLW0603 - another thread may have held it during the fork
    _judges_lock = threading.Lock()
    _judges.clear()


atexit.register(close_judges)
os.register_at_fork(after_in_child=_forget_judges)

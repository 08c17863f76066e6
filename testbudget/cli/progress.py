"""Progress of a run from its first second: a live display on a terminal, plain lines elsewhere."""

import logging
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from testbudget.cli.console import number_of
from testbudget.scheduler.start_stages import STAGE_LOGGER

if TYPE_CHECKING:
    from rich.console import RenderableType

    from testbudget.scheduler.run_status import RunStatus

_PLAIN_INTERVAL_SECONDS = 10.0
_LIVE_INTERVAL_SECONDS = 0.1
_RATE_SECONDS = 30.0  # over which rates are measured
_BAR_CHARACTERS = 30


class ProgressDisplay:
    """Progress of a run: what is being done, of how much, how fast, and until when.

    A terminal shows it live. Elsewhere there is a line when the phase changes, and every ten seconds.

    Args:
        console: the console to write to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True) if console.is_terminal else None
        self._handler = _StageHandler(self)
        self._last_name = ""
        self._last_time = 0.0
        self._samples: deque[tuple[float, dict[str, float]]] = deque()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        logger = logging.getLogger(STAGE_LOGGER)
        self._level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(self._handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logger = logging.getLogger(STAGE_LOGGER)
        logger.removeHandler(self._handler)
        logger.setLevel(self._level)
        if self._live:
            self._live.stop()

    @property
    def seconds(self) -> float | None:
        """Seconds of the run's clock at the last status; None before the first."""
        return self._samples[-1][0] if self._samples else None

    def stage(self, text: str) -> None:
        """Show what is done before there is a status."""
        if self._live:
            self._live.update(_Waiting(text), refresh=True)
        else:
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def watch(self, status: "RunStatus") -> None:
        """Show a status, unless the last one is too recent."""
        now = time.monotonic()
        interval = _LIVE_INTERVAL_SECONDS if self._live else _PLAIN_INTERVAL_SECONDS
        if not self._samples:
            self._samples.append((status.seconds, status.books.spent))
        if status.name == self._last_name and status.name != "done" and now - self._last_time < interval:
            return
        self._last_name, self._last_time = status.name, now
        self._samples.append((status.seconds, status.books.spent))
        while len(self._samples) > 2 and self._samples[1][0] <= status.seconds - _RATE_SECONDS:
            self._samples.popleft()
        if self._live:
            self._live.update(self._panel(status), refresh=True)
        else:
            self._console.print(self._line(status), highlight=False, soft_wrap=True, markup=False)

    def _line(self, status: "RunStatus") -> str:
        """A status in one line."""
        if not _is_testing(status):
            return f"{status.name}: {status.prepared} of {_problems(status)} prepared"
        rates = self._rates()
        return (
            f"{status.name}: spent {_spent(status)}; {_settled(status)}; "
            f"{rates['tests']:.1f} tests/s, {rates['executions']:.0f} pairs/s{self._end(status, rates)}"
        )

    def _panel(self, status: "RunStatus") -> "RenderableType":
        """A status in a few lines."""
        rows = Table.grid(padding=(0, 1))
        if not _is_testing(status):
            done, whole = status.prepared, status.problems
            rows.add_row(
                Spinner("dots"), status.name, _bar(done / whole), f"{done} of {_problems(status)} prepared"
            )
            return Group(rows, *_pools(status))
        rates, books = self._rates(), status.books
        for unit, limit in books.limits.items():
            used = books.spent[unit] + books.lost[unit]
            shown = f"{used:,.5g} of {limit:,.10g}"
            rows.add_row(unit, _bar(used / limit), shown, f"{rates.get(unit, 0):,.3g}/s")
        told = f"{rates['tests']:.1f} tests/s, {rates['executions']:.0f} pairs/s{self._end(status, rates)}"
        return Group(rows, Text(f"{status.name}: {_settled(status)}; {told}"), *_pools(status))

    def _rates(self) -> dict[str, float]:
        """Amounts per second of the run's clock, over the last half minute."""
        (then, before), (now, spent) = self._samples[0], self._samples[-1]
        seconds = max(now - then, 1e-9)  # a resumed run has spent before its clock started
        return {unit: (amount - before[unit]) / seconds for unit, amount in spent.items()}

    def _end(self, status: "RunStatus", rates: dict[str, float]) -> str:
        """Time at which the run will have ended, by the limit that it reaches first; empty if unknown."""
        books, table = status.books, status.scheduler.problems
        left = [
            (limit - books.spent[unit] - books.lost[unit]) / rates[unit]
            for unit, limit in books.limits.items()
            if rates.get(unit, 0) > 0
        ]
        if rates["tests"] > 0:
            open_tests = float((table.max_tests - table.told)[table.closed == 0].sum())
            left.append(open_tests / rates["tests"])
        if not left or status.name != "tests" or status.scheduler.paused:
            return ""
        seconds = max(0.0, min(left))
        at = time.strftime(
            "%H:%M" if seconds < 43_200 else "%d %B %H:%M", time.localtime(time.time() + seconds)
        )
        return f"; until about {at}"


class _StageHandler(logging.Handler):
    """Handler that shows what the start of a run is doing."""

    def __init__(self, display: ProgressDisplay) -> None:
        super().__init__(logging.INFO)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        self._display.stage(record.getMessage())


class _Waiting:
    """Text with a spinner and the seconds since it was first shown."""

    def __init__(self, text: str) -> None:
        self._text, self._since = text, time.monotonic()
        self._spinner = Spinner("dots")

    def __rich__(self) -> "RenderableType":
        self._spinner.update(text=Text(f"{self._text} … {time.monotonic() - self._since:.0f} s"))
        return self._spinner


def _is_testing(status: "RunStatus") -> bool:
    books = status.books
    return bool(books.spent["tests"] + books.reserved["tests"])


def _problems(status: "RunStatus") -> str:
    return number_of(status.problems, "problem")


def _spent(status: "RunStatus") -> str:
    books = status.books
    return ", ".join(
        f"{books.spent[unit] + books.lost[unit]:,.10g} of {limit:,.10g} {unit}"
        for unit, limit in books.limits.items()
    )


def _settled(status: "RunStatus") -> str:
    """Numbers of the problems that get no more tests, and of those that have votes."""
    table = status.scheduler.problems
    settled = (table.closed != 0) | (table.granted >= table.max_tests)
    count = status.problems if status.scheduler.finished else int(settled.sum())
    return f"{count} of {_problems(status)} settled, {status.with_votes} with votes"


def _pools(status: "RunStatus") -> list[Text]:
    """Use of the workers of each kind, in one line."""
    parts = []
    for kind, use in status.backend.pools().items():
        waiting = f" ({use.waiting})" if use.waiting else ""
        parts.append(
            f"{kind.name.lower().replace('_', ' ')}s {min(use.busy, use.workers)} of {use.workers} busy, "
            f"{use.queued} queued{waiting}"
        )
    return [Text("; ".join(parts))] if parts else []


def _bar(share: float) -> ProgressBar:
    return ProgressBar(total=1.0, completed=min(max(share, 0.0), 1.0), width=_BAR_CHARACTERS)

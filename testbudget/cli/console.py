"""Output of commands: consoles, progress, JSON documents, and files of lines."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from testbudget.rewards.errors import UserError
from testbudget.traces.files import whole_file

if TYPE_CHECKING:
    from testbudget.scheduler.run import RunStatus
    from testbudget.traces.records import Cost

STANDARD_STREAM = Path("-")
"""Name of standard input or standard output where a file is expected."""

_PLAIN_INTERVAL_SECONDS = 10.0


class ProgressDisplay:
    """Status of a run while it goes: a live line on a terminal, a plain line every ten seconds elsewhere.

    Args:
        console: the console to write to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True) if console.is_terminal else None
        self._last_name = ""
        self._last_time = 0.0
        self._since: tuple[Cost, float] | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def watch(self, status: "RunStatus") -> None:
        """Show a status, unless the last plain line is too recent."""
        if self._since is None and status.budget:
            self._since = status.budget.spent, status.seconds
        if self._live:
            self._live.update(Text(self._describe(status)))
            return
        now = time.monotonic()
        if status.name != self._last_name or now - self._last_time >= _PLAIN_INTERVAL_SECONDS:
            self._console.print(self._describe(status), highlight=False, soft_wrap=True)
            self._last_name, self._last_time = status.name, now

    def _describe(self, status: "RunStatus") -> str:
        """A status in one line: work done, spending under the cap, and rates."""
        event_log = status.event_log
        if status.budget is None or self._since is None:
            candidates = sum(map(len, event_log.candidates.values()))
            states = f", hidden states of {len(event_log.states)}" if event_log.states else ""
            return f"{status.name}: {candidates} candidates of {status.problems} problems{states}"
        spent, cap = status.budget.spent, status.budget.cap
        # A resumed run has spent before its clock started: rates count from the first status.
        before, started = self._since
        seconds = max(status.seconds - started, 1e-9)
        shares = [
            f"{status.budget.spent_usd if d == 'usd' else getattr(spent, d):,.10g} of {limit:,.10g} {d}"
            for d, limit in cap.limits.items()
        ]
        voted = sum(map(bool, event_log.verdicts.values()))
        return (
            f"{status.name}: spent {', '.join(shares)}; {voted} of {status.problems} problems have votes; "
            f"{(spent.tests - before.tests) / seconds:.1f} tests/s, "
            f"{(spent.executions - before.executions) / seconds:.0f} pairs/s"
        )


def status_console(json: bool, width: int | None = None) -> Console:
    """The console of a command: standard output, or standard error if that holds a JSON document.

    Args:
        json: True if the command prints JSON.
        width: characters that a line needs at least; a narrower terminal wraps the lines.
    """
    console = Console(stderr=json)
    return Console(stderr=json, width=max(console.width, width)) if width else console


def print_json(figures: Mapping[str, Any]) -> None:
    """Print figures to standard output as one JSON document."""
    print(json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False))


@contextmanager
def trial_progress(console: Console, trials: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal; yield a function that takes the number of finished trials."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("trials", total=trials)
        yield lambda finished: progress.update(bar, completed=finished)


def check_writable(out: Path) -> None:
    """Check before the work that the file of ``--out`` can be written after it.

    Args:
        out: a file, or ``-`` for standard output.

    Raises:
        UserError: it cannot be written.
    """
    if out == STANDARD_STREAM:
        return
    if out.exists() and not out.is_file():
        raise UserError(f"--out must be a file, or -, but {out} is something else")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise UserError(f"--out must be in a directory that can be written to but {out.parent} is not one")


def write_lines(lines: Sequence[str], out: Path) -> None:
    """Write all lines to the file of ``--out`` (``-`` for standard output), or none.

    Raises:
        UserError: it cannot be written.
    """
    if out == STANDARD_STREAM:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
        return
    try:
        with whole_file(out) as partial, partial.open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise UserError(f"--out must be a file that can be written but {out}: {error.strerror}") from None

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
    from testbudget.scheduler.run_status import RunStatus

STANDARD_STREAM = Path("-")
"""Name of standard input or standard output where a file is expected."""

_PLAIN_INTERVAL_SECONDS = 10.0
_LIVE_INTERVAL_SECONDS = 0.1


def number_of(count: int, noun: str) -> str:
    """Count with its noun: ``1 pair``, ``2 pairs``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


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
        self._since: tuple[dict[str, float], float] | None = None

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
        """Show a status, unless the last one is too recent."""
        if self._since is None:
            self._since = status.books.spent, status.seconds
        now = time.monotonic()
        interval = _LIVE_INTERVAL_SECONDS if self._live else _PLAIN_INTERVAL_SECONDS
        if status.name == self._last_name and now - self._last_time < interval:
            return
        self._last_name, self._last_time = status.name, now
        if self._live:
            self._live.update(Text(self._describe(status)))
        else:
            self._console.print(self._describe(status), highlight=False, soft_wrap=True)

    def _describe(self, status: "RunStatus") -> str:
        """A status in one line: work done, spending under the cap, and rates."""
        books = status.books
        if self._since is None or not books.spent["tests"] + books.reserved["tests"]:
            return f"{status.name}: {status.prepared} of {status.problems} problems are prepared"
        # A resumed run has spent before its clock started: rates count from the first status.
        before, started = self._since
        seconds = max(status.seconds - started, 1e-9)
        shares = [
            f"{books.spent[quantity] + books.lost[quantity]:,.10g} of {limit:,.10g} {quantity}"
            for quantity, limit in books.limits.items()
        ]
        tests, executions = (books.spent[name] - before[name] for name in ("tests", "executions"))
        return (
            f"{status.name}: spent {', '.join(shares)}; {status.with_votes} of {status.problems} problems "
            f"have votes; {tests / seconds:.1f} tests/s, {executions / seconds:.0f} pairs/s"
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

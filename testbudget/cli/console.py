"""What a run shows while it goes: a live line on a terminal, a plain line now and then elsewhere."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from testbudget.rewards.errors import UserError
from testbudget.scheduler.run import RunStatus
from testbudget.traces.files import write_text
from testbudget.traces.records import Cost

_PLAIN_INTERVAL_SECONDS = 10.0


class ProgressDisplay:
    """Watches a run; give ``watch`` to it.

    Args:
        console: where to write. Its lines are plain, and few, if it is not a terminal.
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

    def watch(self, stage: RunStatus) -> None:
        """Shows a stage, as often as is of use."""
        if self._since is None and stage.budget:
            self._since = stage.budget.spent, stage.seconds
        if self._live:
            self._live.update(Text(self._describe(stage)))
            return
        now = time.monotonic()
        if stage.name != self._last_name or now - self._last_time >= _PLAIN_INTERVAL_SECONDS:
            self._console.print(self._describe(stage), highlight=False, soft_wrap=True)
            self._last_name, self._last_time = stage.name, now

    def _describe(self, stage: RunStatus) -> str:
        """A stage in one line: what is done, what of the cap is spent, and how fast it goes."""
        event_log = stage.event_log
        if stage.budget is None or self._since is None:
            candidates = sum(map(len, event_log.candidates.values()))
            read = f", hidden states of {len(event_log.states)}" if event_log.states else ""
            return f"{stage.name}: {candidates} candidates of {stage.problems} problems{read}"
        spent, cap = stage.budget.spent, stage.budget.cap
        # Rates are of this part of the run: a resumed one has spent before its clock started.
        before, started = self._since
        seconds = max(stage.seconds - started, 1e-9)
        shares = [
            f"{stage.budget.spent_usd if d == 'usd' else getattr(spent, d):,.10g} of {limit:,.10g} {d}"
            for d, limit in cap.limits.items()
        ]
        voted = sum(map(bool, event_log.verdicts.values()))
        return (
            f"{stage.name}: spent {', '.join(shares)}; {voted} of {stage.problems} problems have votes; "
            f"{(spent.tests - before.tests) / seconds:.1f} tests/s, "
            f"{(spent.executions - before.executions) / seconds:.0f} pairs/s"
        )


# ~ """A console that never cuts a table's cells: a narrow terminal wraps the lines instead."""


def wide_console(width: int) -> Console:
    """A console of at least so many characters to the line."""
    return Console(width=max(Console().width, width))


# ~ """Lines that a command writes to the file of its ``--out``, or to standard output."""


STANDARD_STREAM = Path("-")


def check_writable(out: Path) -> None:
    """Find out before the work whether the file of ``--out`` can be written after it.

    Raises:
        UserError: it cannot.
    """
    if out == STANDARD_STREAM:
        return
    if out.exists() and not out.is_file():
        raise UserError(f"--out must be a file, or -, but {out} is something else")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise UserError(f"--out must be in a directory that can be written to but {out.parent} is not one")


def write_lines(lines: Sequence[str], out: Path) -> None:
    """Write all lines to the file of ``--out``, or none.

    Raises:
        UserError: it cannot be written.
    """
    if out == STANDARD_STREAM:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
        return
    try:
        write_text("".join(lines), out)
    except OSError as error:
        raise UserError(f"--out must be a file that can be written but {out}: {error.strerror}") from None

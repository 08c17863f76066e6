"""What a run shows while it goes: a live line on a terminal, a plain line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from scheduler.ledger import Cost
from scheduler.running import Stage

_PLAIN_INTERVAL_SECONDS = 10.0


class Progress:
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

    def watch(self, stage: Stage) -> None:
        """Shows a stage, as often as is of use."""
        if self._since is None and stage.ledger:
            self._since = stage.ledger.spent, stage.seconds
        if self._live:
            self._live.update(Text(self._describe(stage)))
            return
        now = time.monotonic()
        if stage.name != self._last_name or now - self._last_time >= _PLAIN_INTERVAL_SECONDS:
            self._console.print(self._describe(stage), highlight=False, soft_wrap=True)
            self._last_name, self._last_time = stage.name, now

    def _describe(self, stage: Stage) -> str:
        """A stage in one line: what is done, what of the cap is spent, and how fast it goes."""
        journal = stage.journal
        if stage.ledger is None or self._since is None:
            candidates = sum(map(len, journal.candidates.values()))
            read = f", hidden states of {len(journal.states)}" if journal.states else ""
            return f"{stage.name}: {candidates} candidates of {stage.problems} problems{read}"
        spent, cap = stage.ledger.spent, stage.ledger.cap
        # Rates are of this part of the run: a resumed one has spent before its clock started.
        before, started = self._since
        seconds = max(stage.seconds - started, 1e-9)
        shares = [
            f"{stage.ledger.spent_usd if d == 'usd' else getattr(spent, d):,.10g} of {limit:,.10g} {d}"
            for d, limit in cap.limits.items()
        ]
        voted = sum(map(bool, journal.verdicts.values()))
        return (
            f"{stage.name}: spent {', '.join(shares)}; {voted} of {stage.problems} problems have votes; "
            f"{(spent.tests - before.tests) / seconds:.1f} tests/s, "
            f"{(spent.executions - before.executions) / seconds:.0f} pairs/s"
        )

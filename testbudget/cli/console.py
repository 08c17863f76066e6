"""Output of commands: consoles, progress, JSON documents, and files of lines."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from testbudget.rewards.errors import UserError
from testbudget.traces.files import whole_file

STANDARD_STREAM = Path("-")
"""Name of standard input or standard output where a file is expected."""


def number_of(count: int, noun: str) -> str:
    """Count with its noun: ``1 pair``, ``2 pairs``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


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

"""Mistakes in a file of rows, collected so that several are told at once."""

import logging
import re
from collections.abc import Sequence

from testbudget.rewards.errors import UserError

_TOLD = 5
_LOG = logging.getLogger(__name__)


class RowError(Exception):
    """A mistake in one row, as a sentence without its place."""


class Mistakes:
    """Mistakes found while a file is read. The first five are told, and how many more there are."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, sentence: str) -> None:
        """Note a mistake, a sentence that begins with its place."""
        self._count += 1
        if self._count <= _TOLD:
            self._told.append(sentence)

    def refuse(self) -> None:
        """End the reading if there are mistakes.

        Raises:
            UserError: the mistakes, one per line.
        """
        if self._count:
            told = sorted(self._told, key=_place)  # rows are read ahead, to tell their form
            raise UserError("\n".join(told) + more(self._count - len(self._told), "mistake"))


def _place(sentence: str) -> tuple[str, int]:
    """File and line or row that a sentence begins with; line 0 if it has none."""
    place = re.match(r"(.*?)(?::| row )(\d+) ", sentence)
    return (place[1], int(place[2])) if place else (sentence, 0)


def more(count: int, noun: str) -> str:
    """A last line on what a list leaves out; empty if that is nothing."""
    return f"\nand {count:,} more {noun}{'s' if count > 1 else ''}" if count > 0 else ""


def log_warnings(warnings: Sequence[str], command: str) -> None:
    """Log the first five warnings about rows, and how many more there are.

    Args:
        warnings: sentences with their places.
        command: command that shows the others.
    """
    for warning in warnings[:_TOLD]:
        _LOG.warning("warning: %s", warning)
    if len(warnings) > _TOLD:
        _LOG.warning("and %d more warnings: %s", len(warnings) - _TOLD, command)

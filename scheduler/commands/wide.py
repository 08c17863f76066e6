"""A console that never cuts a table's cells: a narrow terminal wraps the lines instead."""

from rich.console import Console


def wide_console(width: int) -> Console:
    """A console of at least so many characters to the line."""
    return Console(width=max(Console().width, width))

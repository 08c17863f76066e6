"""Lines that a command writes to the file of its ``--out``, or to standard output."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rewards.errors import UserError

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
    partial = out.with_name(f"{out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(lines)
        partial.replace(out)
    except OSError as error:
        raise UserError(f"--out must be a file that can be written but {out}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)

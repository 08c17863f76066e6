"""JSON Lines files that people write, with errors that name the line."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from testbudget.rewards.errors import UserError


def read_rows(path: Path, what: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The objects of a file with their line numbers; blank lines are passed over.

    Args:
        path: a UTF-8 file with one JSON object per line.
        what: what the file should be, for the error if it cannot be read.

    Raises:
        UserError: it cannot be read, or a line is no JSON object.
    """
    # Not splitlines: it also splits at characters that JSON leaves unescaped inside strings.
    for number, line in enumerate(_text(path, what).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{path}:{number} must be a JSON object but column {error.colno} is not: {error.msg}"
            ) from None
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number} must be a JSON object but got {line.strip()[:40]}")
        yield number, row


def _text(path: Path, what: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{what} but {path} cannot be read: {error.strerror}") from None
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}:{number} must be UTF-8 but got {error.object[error.start : error.end]!r}"
        ) from None

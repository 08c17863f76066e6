"""Files and directories written atomically, and JSON Lines files read with line numbers."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from testbudget.rewards.errors import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file atomically: yield the path to write to, then move it to ``path``.

    The written file and its folder are flushed to disk (fsync). A leftover of a writer that was killed is
    overwritten. If the block raises, nothing is left and ``path`` is as before.

    Raises:
        OSError: the file cannot be written or moved.
    """
    partial = path_beside(path)
    try:
        yield partial
        end_whole_file(path)
    except BaseException:
        # Removing the leftover must not hide the error: on a faulty disk it fails too.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def end_whole_file(path: Path) -> None:
    """Move what was written to ``path_beside(path)`` to ``path``, with file and folder flushed to disk.

    Raises:
        OSError: the file cannot be flushed or moved.
    """
    partial = path_beside(path)
    _flush(partial)
    partial.replace(path)
    _flush(path.parent)


def write_text(text: str, path: Path) -> None:
    """Write a text in UTF-8, atomically.

    Raises:
        OSError: see :func:`whole_file`.
    """
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def whole_directory(directory: Path) -> Iterator[Path]:
    """Fill a new directory atomically: yield the directory to fill, then move it to ``directory``.

    Parents are made. Files and directories are flushed to disk (fsync). A leftover of a writer that was
    killed is removed first. If the block raises, nothing is left.

    Raises:
        OSError: the directory cannot be made or moved, or ``directory`` exists and is not empty.
    """
    partial = path_beside(directory)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        for folder, _, names in os.walk(partial):
            for name in names:
                _flush(Path(folder, name))
            _flush(Path(folder))
        partial.replace(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _flush(directory.parent)


def check_place(path: Path, *, directory: bool) -> None:
    """Refuse a path that cannot be written, before any work is done for it; nothing is left behind.

    Args:
        path: file or directory that is going to be written. Missing parents are made then.
        directory: True for a directory, which may exist; False for a file.

    Raises:
        UserError: the path is of the other kind, or cannot be made.
    """
    if path.exists() and path.is_dir() != directory:
        raise UserError(
            f"{path} must be a {'directory but is a file' if directory else 'file but is a directory'}"
        )
    places = [*([path] if directory else []), *path.absolute().parents]
    existing = next(place for place in places if place.exists())
    try:
        # Permissions alone do not tell: root may do everything, except in places such as /proc.
        tempfile.TemporaryDirectory(dir=existing).cleanup()
    except OSError as error:
        raise UserError(f"{path} cannot be written: {existing}: {error.strerror}") from None


def path_beside(path: Path) -> Path:
    """Path in the same folder to which the new content of ``path`` is written first."""
    return path.with_name(f"{path.name}.partial")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_rows(path: Path, rule: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Objects of a JSON Lines file with their line numbers, from 1; blank lines are skipped.

    Args:
        path: a UTF-8 file with one JSON object per line.
        rule: beginning of the error message if the file cannot be read, for example "problems must come
            from a JSONL file".

    Raises:
        UserError: the file cannot be read, or a line is not a JSON object.
    """
    # Not splitlines: it also splits at characters that JSON leaves unescaped inside strings.
    for number, line in enumerate(_text(path, rule).split("\n"), start=1):
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


def _text(path: Path, rule: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{rule} but {path} cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")  # with or without a byte order mark
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}:{number} must be UTF-8 but got {error.object[error.start : error.end]!r}"
        ) from None

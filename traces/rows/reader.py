"""Rows of a file or dataset directory of any format.

The format follows the content (Parquet, Arrow) or the ending (CSV); any other file is JSON Lines or a JSON
document. Texts are UTF-8, or UTF-16 or UTF-32 with a byte order mark, and may be compressed by gzip, bzip2
or zstd.
"""

import bz2
import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from testbudget.rewards.errors import UserError, one_line
from testbudget.traces.rows.arrow_rows import ARROW, PARQUET, rows_of_arrow, rows_of_parquet
from testbudget.traces.rows.csv_rows import rows_of_csv
from testbudget.traces.rows.dataset_folder import ending_of, files_of_dataset
from testbudget.traces.rows.json_rows import rows_of_document, rows_of_lines
from testbudget.traces.rows.mistakes import Mistakes
from testbudget.traces.rows.row import Row

_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # the longer marks first: one begins with another
_GZIP, _BZIP2, _ZSTD = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive",
    b"SQLite format 3": "an SQLite database",
    b"\x80\x02": "a pickle, which is never read",
    b"\x80\x03": "a pickle, which is never read",
    b"\x80\x04": "a pickle, which is never read",
    b"\x80\x05": "a pickle, which is never read",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a pointer of Git LFS instead of the file",
}
_LINES = (".jsonl", ".ndjson")
_HEAD = 32


def read_row_files(path: Path, rule: str, mistakes: Mistakes, split: str | None = None) -> Iterator[Row]:
    """Rows of a file or dataset directory, in order.

    Args:
        path: file or directory.
        rule: beginning of the sentence if it cannot be read, for example "problems must come from a file of
            rows".
        mistakes: takes a sentence for each row that cannot be read.
        split: split of a dataset directory; None takes the only one, or ``test``.

    Raises:
        UserError: the file cannot be read at all.
    """
    files = files_of_dataset(path, split).files if path.is_dir() else [path]
    for file in files:
        yield from _rows_of_file(file, rule, mistakes)


def _rows_of_file(path: Path, rule: str, mistakes: Mistakes) -> Iterator[Row]:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if foreign := next((kind for magic, kind in _FOREIGN.items() if head.startswith(magic)), None):
                raise UserError(f"{rule} but {path} is {foreign}")
            if head.startswith(PARQUET):
                yield from rows_of_parquet(path, mistakes)
            elif head.startswith(ARROW) or ending_of(path) == ".arrow":
                yield from rows_of_arrow(path, mistakes)
            else:
                file.seek(0)
                yield from _rows_of_text(_unpacked(file, head), path, mistakes)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise UserError(f"{rule} but {path} cannot be read: {reason}") from None


def _unpacked(file: BinaryIO, head: bytes) -> BinaryIO:
    """The file, decompressed if its first bytes say that it is compressed."""
    if head.startswith(_GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if head.startswith(_BZIP2):
        return cast(BinaryIO, bz2.BZ2File(file))
    if head.startswith(_ZSTD):
        return io.BytesIO(pa.CompressedInputStream(file, "zstd").read())
    return file


def _rows_of_text(file: BinaryIO, path: Path, mistakes: Mistakes) -> Iterator[Row]:
    name, ending = str(path), ending_of(path)
    first = file.readline()
    wide = next((encoding for mark, encoding in _WIDE.items() if first.startswith(mark)), None)
    lines = _lines(first, file, wide, name, mistakes)
    if ending in (".csv", ".tsv"):
        text = "".join(line for _, line in lines)
        if not mistakes:
            yield from rows_of_csv(text, name, mistakes, tabs=ending == ".tsv")
        return
    head = _until_text(lines)
    start = head[-1][1] if head else ""
    following = [] if ending in _LINES else _until_text(lines)
    alone = ending not in _LINES and not any(line.strip() for _, line in following)
    head += following
    if _are_lines(start, ending, alone=alone):
        yield from rows_of_lines(chain(head, lines), name, mistakes)
    else:
        text = "".join(line for _, line in chain(head, lines))
        if not mistakes:
            yield from rows_of_document(text, name, mistakes)


def _until_text(lines: Iterator[tuple[int, str]]) -> list[tuple[int, str]]:
    """The next lines, up to and with one that is not blank."""
    found = []
    for number, line in lines:
        found.append((number, line))
        if line.strip():
            break
    return found


def _are_lines(first: str, ending: str, *, alone: bool) -> bool:
    """Return whether a text is JSON Lines, rather than a JSON document.

    Args:
        first: its first line that is not blank.
        ending: ending of the file.
        alone: True if no other line may follow.
    """
    first = first.strip()
    if not first.startswith(("{", "[")):
        return True
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return ending in _LINES and first.endswith(("}", "]")) and len(first) > len("{}")
    if isinstance(value, dict):
        return not alone
    return ending in _LINES and not all(isinstance(entry, dict) for entry in value)


def _lines(
    first: bytes, file: BinaryIO, wide: str | None, name: str, mistakes: Mistakes
) -> Iterator[tuple[int, str]]:
    """Numbered lines with their ends, decoded. Only a line feed ends a line."""
    if wide is not None:
        content = first + file.read()
        try:
            text = content.decode(wide)
        except UnicodeDecodeError as error:
            mistakes.add(f"{name} must be {wide.upper()}, as its byte order mark says, but {error.reason}")
            return
        yield from enumerate(io.StringIO(text, newline="\n"), start=1)
        return
    number, line = 1, first.removeprefix(codecs.BOM_UTF8)
    while line:
        try:
            yield number, line.decode()
        except UnicodeDecodeError as error:
            found = error.object[error.start : error.end]
            mistakes.add(f"{name}:{number} must be UTF-8 but got {found!r}")
        number, line = number + 1, file.readline()

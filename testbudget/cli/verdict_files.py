"""Files of verdicts, written row by row: JSON Lines, or Parquet if the name ends in .parquet.

What is written stays readable however the command ends: a line is written whole or taken back, and a
Parquet file gets its footer. Only a killed process leaves a half line, which is cut off when the file is
continued, or no Parquet file.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbudget.cli.interruptions import Interruptions
from testbudget.executors.execution.lost_pairs import LOST_SENTENCE
from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.rewards.verdict_reason import DetailName
from testbudget.traces.files import path_beside

if TYPE_CHECKING:
    import pyarrow as pa

ERROR = "error"
"""Name that stands for rows with an error among the verdicts."""

LOST = "lost"
"""Name that stands for pairs that no sandbox could judge."""

_GROUP_ROWS = 4096  # of a row group
_FOOTER_BYTES = 1 << 20  # kept free on the disk for the end of a Parquet file
_TAIL_BYTES = 1 << 16

VerdictRow = Mapping[str, Any]
"""Row of the output by name of the field: ``id``, and ``verdict`` with what belongs to it, or ``error``."""


class LineFile:
    """Verdicts as JSON Lines, in a file or on standard output.

    Args:
        out: the file; None for standard output.
        resume: True to continue what the file holds.
        interruptions: hold interrupts back while a line is written.

    Attributes:
        rows: number of rows that the file holds, those that it held before included.
        complete: to be set once all rows are written; otherwise a new file without rows is removed.

    Raises:
        UserError: the file exists and is not continued, or cannot be written.
    """

    def __init__(self, out: Path | None, *, resume: bool, interruptions: Interruptions) -> None:
        self._out = out
        self._interruptions = interruptions
        self._new = False
        self.rows = 0
        self.complete = False
        if out is None:
            sys.stdout.flush()
            self._descriptor = sys.stdout.fileno()
            return
        self._new = not out.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (0 if resume else os.O_EXCL)
        try:
            self._descriptor = os.open(out, flags, 0o666)
        except FileExistsError:
            raise existing_output(out) from None
        except OSError as error:
            raise _unwritable(out, error) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise UserError(f"{out} must not be written by two processes but another one has it") from None
        self._cut_half_line()

    def earlier_rows(self) -> Iterator[VerdictRow]:
        """Rows that the file held before.

        Raises:
            UserError: a line is none of a file of verdicts.
        """
        if self._out is None or self._new:
            return
        with self._out.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield _earlier_row(self._out, number, line)
                self.rows += 1

    def write(self, rows: Sequence[VerdictRow]) -> None:
        """Write rows.

        Raises:
            BrokenPipeError: the reader of standard output has ended.
            InfrastructureError: the disk is full or faulty. The file ends with a whole line.
        """
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        written = 0
        with self._interruptions.held():
            try:
                while written < len(content):
                    written += os.write(self._descriptor, content[written:])
            except BrokenPipeError:
                raise
            except OSError as error:
                if self._out is not None:
                    self._cut_half_line()
                name = self._out or "standard output"
                raise InfrastructureError(f"{name} cannot be written: {error.strerror}") from None
            finally:
                self.rows += content.count(b"\n", 0, written)

    def close(self) -> None:
        """Close the file; remove it if it is new and nothing was written."""
        if self._out is None:
            return
        if self._new and not self.rows and not self.complete:
            self._out.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _cut_half_line(self) -> None:
        """Cut off what follows the last end of a line."""
        end = os.fstat(self._descriptor).st_size
        while end:
            start = max(end - _TAIL_BYTES, 0)
            tail = os.pread(self._descriptor, end - start, start)
            last = tail.rfind(b"\n")
            end = start + last + 1 if last >= 0 else start
            if last >= 0:
                break
        os.ftruncate(self._descriptor, end)


class ParquetFile:
    """Verdicts as a Parquet file, written beside its place and moved there when it is complete.

    A field ``metadata`` is a column of JSON texts.

    Args:
        out: the file.
        resume: True to continue what the file holds.
        interruptions: hold interrupts back while a row group is written.

    Attributes:
        rows: number of rows that the file holds, those that it held before included.
        complete: to be set once all rows are written; otherwise a new file without rows is removed.

    Raises:
        UserError: the file exists and is not continued, is no file of verdicts, or cannot be written.
    """

    def __init__(self, out: Path, *, resume: bool, interruptions: Interruptions) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._out = out
        self._interruptions = interruptions
        self._waiting: list[VerdictRow] = []
        self._schema = _schema()
        self._earlier: Any = None
        self._copied = True
        self.rows = 0
        self.complete = False
        if out.exists():
            if not resume:
                raise existing_output(out)
            try:
                self._earlier = pq.ParquetFile(out)
            except (OSError, pa.ArrowException):
                raise UserError(f"{out} must be a Parquet file of verdicts but it cannot be read") from None
            if self._earlier.schema_arrow != self._schema:
                raise UserError(f"{out} must be a Parquet file of verdicts but it has other columns")
            self._copied = False
        self._partial = path_beside(out)
        try:
            self._file = self._partial.open("wb")
        except OSError as error:
            raise _unwritable(out, error) from None
        self._writer = pq.ParquetWriter(self._file, self._schema)

    def earlier_rows(self) -> Iterator[VerdictRow]:
        """Rows that the file held before, with their ids and verdicts alone; copied on the way."""
        if self._earlier is None:
            return
        for group in range(self._earlier.num_row_groups):
            table = self._earlier.read_row_group(group)
            with self._interruptions.held():
                self._write_group(table)
                self.rows += table.num_rows
            yield from table.select(["id", "verdict", "error"]).to_pylist()
        self._copied = True

    def write(self, rows: Sequence[VerdictRow]) -> None:
        """Write rows, or keep them until there are enough for a row group.

        Raises:
            InfrastructureError: the disk is full or faulty.
        """
        with self._interruptions.held():
            self._waiting.extend(rows)
            self.rows += len(rows)
            if len(self._waiting) >= _GROUP_ROWS:
                self._flush()

    def close(self) -> None:
        """Write what waits and the footer, and move the file to its place; remove an empty one.

        Raises:
            InfrastructureError: the disk is full or faulty. The rows of earlier groups are there.
        """
        with self._interruptions.held():
            try:
                if self._waiting:
                    self._flush()
            finally:
                self._writer.close()
                self._file.flush()
                self._file.truncate(self._file.tell())
                self._file.close()
                if self._copied and (self.rows or self.complete):
                    self._partial.replace(self._out)
                else:
                    self._partial.unlink()

    def _flush(self) -> None:
        import pyarrow as pa

        rows, self._waiting = self._waiting, []
        self.rows -= len(rows)
        self._write_group(pa.Table.from_pylist([_columns(row) for row in rows], self._schema))
        self.rows += len(rows)

    def _write_group(self, table: "pa.Table") -> None:
        try:
            self._file.flush()
            # Room for the group and the footer, before a part of the group is written.
            place = self._file.tell()
            os.posix_fallocate(self._file.fileno(), place, 2 * table.nbytes + _FOOTER_BYTES)
        except OSError as error:
            raise InfrastructureError(f"{self._out} cannot be written: {error.strerror}") from None
        self._writer.write_table(table)


OutputFile = LineFile | ParquetFile
"""File of verdicts."""


def open_output(out: Path | None, *, resume: bool, interruptions: Interruptions) -> OutputFile:
    """Open the file of ``--out``; Parquet if its name ends in .parquet.

    Raises:
        UserError: the file exists and is not continued, or cannot be written.
    """
    if out is not None and out.suffix == ".parquet":
        return ParquetFile(out, resume=resume, interruptions=interruptions)
    return LineFile(out, resume=resume, interruptions=interruptions)


def existing_output(out: Path) -> UserError:
    """Error of an output that is there already."""
    return UserError(f"{out} exists: go on with --resume or choose another --out")


def verdict_name(row: VerdictRow) -> str:
    """Verdict of a row, for counts."""
    error = row.get(ERROR)
    if error is None:
        return str(row["verdict"])
    return LOST if str(error).startswith(LOST_SENTENCE) else ERROR


def _unwritable(out: Path, error: OSError) -> UserError:
    return UserError(f"--out must be a file that can be written but {out}: {error.strerror}")


def _earlier_row(out: Path, number: int, line: bytes) -> VerdictRow:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not (isinstance(row, dict) and "id" in row and ("verdict" in row or ERROR in row)):
        raise UserError(f"{out}:{number} must be a verdict of this command, to be continued, but is none")
    return row


def _schema() -> "pa.Schema":
    import pyarrow as pa

    text = pa.string()
    return pa.schema(
        {
            "id": text,
            "verdict": text,
            "reason": text,
            "detail": pa.struct({str(name): text for name in DetailName}),
            "cpu_seconds": pa.float64(),
            "wall_seconds": pa.float64(),
            "cut_at": pa.float64(),
            "isolation": pa.list_(text),
            "error": text,
            "metadata": text,
        }
    )


def _columns(row: VerdictRow) -> dict[str, Any]:
    columns = {name: _encodable(value) for name, value in row.items()}
    if "metadata" in row:
        columns["metadata"] = json.dumps(row["metadata"])
    return columns


def _encodable(value: Any) -> Any:
    """A text, or texts in an object, without halves of surrogate pairs, which UTF-8 does not hold."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return {name: _encodable(text) for name, text in value.items()} if isinstance(value, dict) else value

"""Parquet tables written in row groups, each whole or not at all, in memory for one group."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from testbudget.traces.files import end_whole_file, path_beside

PROBLEMS_PER_GROUP = 256
"""Problems whose rows are one row group."""

COMPRESSION_LEVEL = 6
"""Level of zstd. On the recorded run, level 19 takes 60 times as long and saves a sixth."""


class TableWriter:
    """A table that is written in row groups. A context manager: the file is in its place at the end.

    If the block raises, nothing is left and the file is as before. If no group was added, the file is
    removed.

    Args:
        path: the file.
        metadata: entries of the table's metadata.
        dictionary: names of the columns to encode by a dictionary; None encodes all.
    """

    def __init__(
        self, path: Path, metadata: Mapping[bytes, bytes], dictionary: Sequence[str] | None = None
    ) -> None:
        self._path, self._metadata, self._dictionary = path, dict(metadata), dictionary
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        partial = path_beside(self._path)
        try:
            if self._writer is not None:
                self._writer.close()
            if kind is None and self._writer is not None:
                end_whole_file(self._path)
            elif kind is None:
                self._path.unlink(missing_ok=True)
        finally:
            # Removing the leftover must not hide the error: on a faulty disk it fails too.
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def add(self, table: pa.Table) -> None:
        """Write rows as one row group. The first table sets the schema.

        Raises:
            OSError: the file cannot be written.
        """
        if self._writer is None:
            schema = table.schema.with_metadata({**(table.schema.metadata or {}), **self._metadata})
            self._writer = pq.ParquetWriter(
                path_beside(self._path),
                schema,
                compression="zstd",
                compression_level=COMPRESSION_LEVEL,
                use_dictionary=True if self._dictionary is None else list(self._dictionary),
            )
        self._writer.write_table(table.cast(self._writer.schema), row_group_size=max(1, len(table)))

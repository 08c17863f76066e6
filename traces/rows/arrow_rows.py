"""Rows of Parquet and Arrow files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from testbudget.rewards.errors import one_line
from testbudget.traces.rows.mistakes import Mistakes
from testbudget.traces.rows.row import Row, with_values

PARQUET, ARROW = b"PAR1", b"ARROW1"
"""First bytes of a Parquet file and of an Arrow file."""

_ROWS_AT_ONCE = 1000


def rows_of_parquet(path: Path, mistakes: Mistakes) -> Iterator[Row]:
    """Rows of a Parquet file.

    Args:
        path: the file.
        mistakes: takes a sentence if the file is damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            yield from _rows(file.iter_batches(_ROWS_AT_ONCE), str(path))
    except (OSError, pa.ArrowException) as error:
        mistakes.add(f"{path} must be a Parquet file but {one_line(error)}")


def rows_of_arrow(path: Path, mistakes: Mistakes) -> Iterator[Row]:
    """Rows of an Arrow file, in the form of a file or of a stream.

    Args:
        path: the file.
        mistakes: takes a sentence if the file is damaged.
    """
    try:
        with pa.memory_map(str(path)) as source:
            if source.read(len(ARROW)) == ARROW:
                reader = pa.ipc.open_file(source)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
                yield from _rows(batches, str(path))
            else:
                source.seek(0)
                yield from _rows(pa.ipc.open_stream(source), str(path))
    except (OSError, pa.ArrowException) as error:
        mistakes.add(f"{path} must be an Arrow file but {one_line(error)}")


def _rows(batches: Iterable[pa.RecordBatch], name: str) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            rows: list[dict[str, Any]] = batch.slice(start, _ROWS_AT_ONCE).to_pylist(
                maps_as_pydicts="lossy"
            )
            for row in rows:
                number += 1
                yield Row(f"{name} row {number}", with_values(row))

"""Tables in row groups: whole or not at all, gone if nothing was added."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from testbudget.traces.table_writer import TableWriter

ROWS = [pa.table({"a": [1, 2]}), pa.table({"a": [3]})]
METADATA = {b"key": b"value"}


def test_every_added_table_is_a_row_group_and_the_metadata_are_kept(tmp_path):
    path = tmp_path / "t.parquet"
    with TableWriter(path, METADATA) as writer:
        for rows in ROWS:
            writer.add(rows)
        assert not path.exists()
    assert pq.ParquetFile(path).metadata.num_row_groups == len(ROWS)
    table = pq.read_table(path)
    assert table["a"].to_pylist() == [1, 2, 3]
    assert table.schema.metadata[b"key"] == b"value"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_raises_changes_nothing(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), TableWriter(path, METADATA) as writer:
        writer.add(ROWS[0])
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_without_rows_there_is_no_file_and_with_an_empty_table_there_is(tmp_path):
    path = tmp_path / "t.parquet"
    with TableWriter(path, METADATA) as writer:
        writer.add(ROWS[0].slice(0, 0))
    assert pq.read_table(path).num_rows == 0
    with TableWriter(path, METADATA):
        pass
    assert not path.exists()

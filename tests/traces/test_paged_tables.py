"""Tables of a large run, read problem by problem: what they give is what reading them at once gives."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from testbudget.rewards.errors import UserError
from testbudget.testing.log_entries import same
from testbudget.traces import tables
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.paged_tables import PagedMapping, PagedTable, rows_by_problem
from testbudget.traces.reason_tables import read_reasons
from testbudget.traces.tables import read_trace

ROWS = pa.table({"problem_id": ["a", "b", "a", "c", "b"], "row": range(5)})


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_rows_of_a_problem_come_in_their_order_from_any_row_groups(tmp_path, size):
    path = tmp_path / "t.parquet"
    pq.write_table(ROWS, path, row_group_size=size)
    table = PagedTable(path)
    assert table.problems == ["a", "b", "c"]
    for problem, rows in {"a": [0, 2], "b": [1, 4], "c": [3], "d": []}.items():
        assert table.of(problem)["row"].to_pylist() == rows


def test_rows_are_parted_by_problem():
    found = {problem: rows["row"].to_pylist() for problem, rows in rows_by_problem(ROWS).items()}
    assert found == {"a": [0, 2], "b": [1, 4], "c": [3]}
    assert rows_by_problem(ROWS.slice(0, 0)) == {}


def test_a_mapping_reads_what_is_asked_for_once():
    read = []
    mapping = PagedMapping(["b", "a"], lambda problem: read.append(problem) or problem.upper())
    assert [list(mapping), len(mapping), "b" in mapping, "c" in mapping] == [["b", "a"], 2, True, False]
    assert [mapping["a"], mapping["a"], mapping.get("c")] == ["A", "A", None]
    assert read == ["a"]


def test_a_run_read_problem_by_problem_is_the_one_that_is_read_at_once(recorded, monkeypatch):
    whole, outputs = read_trace(recorded.directory), read_outputs(recorded.directory)
    reasons = read_reasons(recorded.directory)
    monkeypatch.setattr(tables, "MAX_WHOLE", 1)
    paged = read_trace(recorded.directory)
    assert isinstance(paged.problems, PagedMapping)
    assert same(dict(paged.problems), dict(whole.problems))
    assert same(dict(read_outputs(recorded.directory)), dict(outputs))
    assert same(dict(read_reasons(recorded.directory)), dict(reasons))
    np.testing.assert_array_equal(paged.hidden_states.states, whole.hidden_states.states)


def test_a_large_run_without_a_table_or_a_column_is_refused(recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_WHOLE", 1)
    for path in recorded.directory.glob("*.parquet"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "tests.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["status"]), path)
    with pytest.raises(UserError, match=r"tests.parquet must have the columns of a run but lacks status"):
        read_trace(tmp_path)
    path.write_bytes(b"no table")
    with pytest.raises(UserError, match=r"tests.parquet must be a Parquet table of a run but"):
        read_trace(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"must be a finished run but it has no tests.parquet"):
        read_trace(tmp_path)

"""Tables of the course of a run: round trips, and runs without them."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from testbudget.rewards.errors import UserError
from testbudget.testing.log_entries import same
from testbudget.traces.run_tables import (
    AssessmentRecord,
    GrantRecord,
    PoolRecord,
    WorkRecord,
    read_run_table,
    write_run_table,
)

NAN = float("nan")
ROWS = {
    GrantRecord: [
        GrantRecord(7, "p", 0, 2, 0.5, 0.25, {"pass rate": 0.5, "gain": NAN}),
        GrantRecord(9, "é", 2, 1, 0.75, NAN),
    ],
    WorkRecord: [
        WorkRecord("generate", "p", 7, "engine 0", 0.0, 0.5, 1.5),
        WorkRecord("label", "é", None, "runner 1", NAN, 2.5, 3.5),
    ],
    PoolRecord: [PoolRecord(0.0, "runner", 2, 1, 0), PoolRecord(1.0, "reward_model", 0, 0, 7)],
    AssessmentRecord: [
        AssessmentRecord("p", 2, 1, 0.75, 0.25, False),
        AssessmentRecord("é", None, 0, NAN, NAN, True),
    ],
}
NAMES = ("grants", "work", "pools", "assessments")


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_rows_come_back_as_they_were_written(kind, rows, tmp_path):
    write_run_table(kind, iter(ROWS[kind][:rows]), tmp_path)
    assert same(read_run_table(kind, tmp_path), ROWS[kind][:rows])


def test_grants_and_assessments_are_numbered_in_their_order(tmp_path):
    for kind, name in ((GrantRecord, "grants"), (AssessmentRecord, "assessments")):
        write_run_table(kind, ROWS[kind], tmp_path)
        assert pq.read_table(tmp_path / f"{name}.parquet")["order"].to_pylist() == [0, 1]


def test_a_run_without_the_tables_has_no_rows(tmp_path):
    shipped = Path(__file__).parents[2] / "examples" / "humaneval"
    assert [read_run_table(kind, directory) for kind in ROWS for directory in (tmp_path, shipped)] == [
        []
    ] * 8


@pytest.mark.parametrize(("kind", "name"), list(zip(ROWS, NAMES, strict=True)))
def test_a_table_without_a_column_is_refused(kind, name, tmp_path):
    write_run_table(kind, ROWS[kind], tmp_path)
    path = tmp_path / f"{name}.parquet"
    pq.write_table(
        pq.read_table(path).drop_columns(["problem" if kind is not PoolRecord else "busy"]), path
    )
    with pytest.raises(UserError, match="must have the columns of a run but lacks"):
        read_run_table(kind, tmp_path)

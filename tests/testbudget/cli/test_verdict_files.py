"""A file of verdicts is readable after every write, and can be continued."""

import json
import os
import resource
import signal

import pyarrow.parquet as pq
import pytest

from testbudget.cli.interruptions import Interruptions
from testbudget.cli.verdict_files import open_output
from testbudget.rewards.errors import InfrastructureError, UserError

VERDICT = {
    "verdict": "failed",
    "reason": "No.",
    "detail": {"line": "1"},
    "cpu_seconds": 0.1,
    "wall_seconds": 0.2,
    "isolation": ["separate_process"],
}


def row(number, **more):
    return {"id": str(number), **VERDICT, **more}


def opened(path, *, resume=False):
    return open_output(path, resume=resume, interruptions=Interruptions())


def ids(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).column("id").to_pylist()
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.fixture(params=["verdicts.jsonl", "verdicts.parquet"])
def path(request, tmp_path):
    return tmp_path / request.param


def test_what_is_written_is_continued_and_not_overwritten(path):
    file = opened(path)
    file.write([row(1), row(2)])
    file.close()
    assert ids(path) == ["1", "2"]
    with pytest.raises(UserError, match="exists: go on with --resume"):
        opened(path)
    file = opened(path, resume=True)
    assert [earlier["id"] for earlier in file.earlier_rows()] == ["1", "2"]
    file.write([row(3)])
    assert file.rows == 3
    file.close()
    assert ids(path) == ["1", "2", "3"]
    assert list(path.parent.iterdir()) == [path]


def test_a_file_without_rows_is_removed_and_what_was_there_stays(path):
    opened(path).close()
    assert not path.exists()
    file = opened(path)
    file.write([row(1)])
    file.close()
    opened(path, resume=True).close()  # ended before all earlier rows were compared
    assert ids(path) == ["1"]
    assert list(path.parent.iterdir()) == [path]


def test_a_half_line_is_cut_off(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    line = json.dumps(row(1)) + "\n"
    path.write_text(line + "x" * 100_000)
    file = opened(path, resume=True)
    assert [earlier["id"] for earlier in file.earlier_rows()] == ["1"]
    file.close()
    assert path.read_text() == line


def test_each_line_can_be_read_at_once(tmp_path):
    file = opened(tmp_path / "verdicts.jsonl")
    file.write([row(1)])
    assert ids(tmp_path / "verdicts.jsonl") == ["1"]
    file.close()


def test_two_commands_do_not_write_one_file(tmp_path):
    file = opened(tmp_path / "verdicts.jsonl")
    with pytest.raises(UserError, match="another one has it"):
        opened(tmp_path / "verdicts.jsonl", resume=True)
    file.close()


@pytest.mark.parametrize("content", ["{}\n", "nothing\n", '{"id": "1"}\n'])
def test_a_file_of_something_else_is_not_continued(tmp_path, content):
    path = tmp_path / "verdicts.jsonl"
    path.write_text(content)
    file = opened(path, resume=True)
    with pytest.raises(UserError, match=r"verdicts.jsonl:1 must be a verdict"):
        list(file.earlier_rows())
    file.close()
    assert path.read_text() == content


def test_a_parquet_file_of_something_else_is_not_continued(tmp_path):
    path = tmp_path / "verdicts.parquet"
    path.write_text("nothing")
    with pytest.raises(UserError, match="cannot be read"):
        opened(path, resume=True)
    assert path.read_text() == "nothing"


def test_a_parquet_file_has_a_column_for_each_field(tmp_path):
    path = tmp_path / "verdicts.parquet"
    file = opened(path)
    file.write([row(1, cut_at=0.5, metadata={"a": [1]}), {"id": "\ud800", "error": "wrong"}])
    file.close()
    first, second = pq.read_table(path).to_pylist()
    assert first["detail"]["line"] == "1"
    assert first["isolation"] == ["separate_process"]
    assert json.loads(first["metadata"]) == {"a": [1]}
    assert (second["id"], second["verdict"], second["error"]) == ("?", None, "wrong")


@pytest.fixture
def small_files():
    """Function that limits the size of files to so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_leaves_whole_rows(path, small_files):
    line = len(json.dumps(row(1))) + 1
    first_rows = 4096 if path.suffix == ".parquet" else 1  # a row group
    small_files((3 << 20) if path.suffix == ".parquet" else 2 * line + 10)
    file = opened(path)
    file.write([row(1)] * first_rows)
    with pytest.raises(InfrastructureError, match="cannot be written"):
        for _ in range(100):
            file.write([row(2, reason=os.urandom(50_000).hex())] * (first_rows // 1000 or 2))
            if path.suffix == ".parquet":
                file._flush()
    file.close()
    assert set(ids(path)) - {"1"} <= {"2"}
    assert len(ids(path)) == file.rows >= first_rows
    file = opened(path, resume=True)
    assert len(list(file.earlier_rows())) == file.rows
    file.close()

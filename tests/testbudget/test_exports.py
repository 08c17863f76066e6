"""Picked programs written as files and as rows."""

import json
from pathlib import Path

import pytest

import testbudget
from testbudget import UserError
from testbudget.exports import export_picks

PROBLEMS = [
    {"id": name, "prompt": "Add one to x.", "entry_point": "f"} for name in ("a/b", "a b", "../A_b", "left")
]
CANDIDATES = [
    {"problem": row["id"], "code": f"def f(x): return x + 1  # {row['id']}"} for row in PROBLEMS[:3]
]
CANDIDATES.append({"problem": "left", "code": "def f(x): return 0"})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of four problems; the only candidate of one passes nothing, so it is abstained."""
    tests = [{"problem": row["id"], "code": "assert f(1) == 2"} for row in PROBLEMS]
    return testbudget.run(
        problems=PROBLEMS,
        candidates=CANDIDATES,
        tests=tests,
        cap={"tests": 4},
        confidence={"abstain_below": 0.5},
        out=tmp_path_factory.mktemp("exports") / "run",
    )


def test_a_folder_gets_a_file_for_each_program_whatever_the_ids(run, tmp_path):
    out = tmp_path / "picks"
    assert run.export(out) == 3
    rows = [json.loads(line) for line in (out / "picks.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == ["a_b.py", "a_b-2.py", "A_b-3.py"]
    for row in rows:
        assert (out / row["file"]).read_text() == f"def f(x): return x + 1  # {row['problem']}\n"
    assert {path.name for path in out.iterdir()} == {"picks.jsonl", *(row["file"] for row in rows)}


def test_a_file_gets_a_row_for_each_program_that_is_sure_enough(run, tmp_path):
    assert export_picks(run.directory, tmp_path / "all.jsonl", with_abstained=True) == 4
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["problem"] for row in rows] == [row["id"] for row in PROBLEMS]
    assert rows[0].keys() == {
        "problem", "code", "p_correct", "tests_passed", "tests", "entry_point", "language",
    }  # fmt: skip
    least = max(row["p_correct"] for row in rows)
    assert export_picks(run.directory, tmp_path / "sure.jsonl", least_p_correct=least) == 3


def test_what_cannot_be_written_is_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"exists\. Choose another --out"):
        export_picks(run.directory, tmp_path)
    with pytest.raises(UserError, match="must hold picks to export but all of them are left out"):
        export_picks(run.directory, tmp_path / "none.jsonl", least_p_correct=1.0)
    with pytest.raises(UserError, match=r"must be a finished run but it has no picks.jsonl"):
        export_picks(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="cannot be written"):
        export_picks(run.directory, Path("/proc/none/picks.jsonl"))

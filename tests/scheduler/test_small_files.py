"""Small files of a job are read at once, large ones by the run alone."""

import json

import pytest

from testbudget.rewards.errors import UserError
from testbudget.scheduler import small_files
from testbudget.scheduler.job_file import check_job
from testbudget.scheduler.small_files import check_small_files

GIVEN = {"problem": "a", "code": "assert f()"}


def job_of(folder, **sections):
    (folder / "rows.jsonl").write_text('{"id": "a", "prompt": "p", "entry_point": "f"}\n')
    (folder / "given.jsonl").write_text(json.dumps(GIVEN) + "\n")
    given = {"from_file": "given.jsonl"}
    usual = {"problems": {"source": "rows.jsonl"}, "candidates": given, "tests": given, "cap": {"tests": 2}}
    return check_job(usual | sections, folder)


@pytest.mark.parametrize(
    ("sections", "file", "row", "told"),
    [
        ({}, "rows.jsonl", {"id": "a"}, "prompt is required"),
        ({}, "given.jsonl", {"problem": "a"}, "code is required"),
        ({}, "given.jsonl", GIVEN | {"code": "f()"}, "none: that of .*given.jsonl:1 asserts nothing"),
        ({"policy": {"min_tests": 3}}, "rows.jsonl", None, "cap.tests must be at least policy.min_tests"),
        ({"execution": {"packages": ["nums"]}}, "rows.jsonl", None, "execution.packages names nums"),
    ],
)
def test_a_mistake_in_a_small_file_is_found(tmp_path, sections, file, row, told):
    job = job_of(tmp_path, **sections)
    if row is not None:
        (tmp_path / file).write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=told):
        check_small_files(job)


def test_files_without_mistakes_pass_and_large_ones_are_left_to_the_run(tmp_path, monkeypatch):
    job = job_of(tmp_path)
    check_small_files(job)
    (tmp_path / "rows.jsonl").write_text("no row\n")
    monkeypatch.setattr(small_files, "_SMALL", 3)
    check_small_files(job)

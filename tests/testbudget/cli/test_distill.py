"""``testbudget distill``: what it prints, and its refusals in one sentence."""

import json

import pytest

from testbudget.cli.main import USER_ERROR, main
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run


@pytest.fixture
def finished(recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml", cap={"tests": 40})
    start_run(load_job(path), tmp_path / "run")
    return tmp_path / "run"


def refusal(capsys, *arguments):
    capsys.readouterr()
    assert main([*map(str, arguments)]) == USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_filters_rows_and_the_split_are_printed(finished, tmp_path, capsys):
    out = tmp_path / "data"
    assert main(["distill", str(finished), "--out", str(out), "--near-duplicate", "1"]) == 0
    printed = capsys.readouterr().out
    for said in ("passes right candidates", "reformatted", "on both sides: 0 content hashes", str(out)):
        assert said in printed
    flags = ["--near-duplicate", "1", "--no-pass-right", "--json"]
    assert main(["distill", str(finished), "--out", str(tmp_path / "all"), *flags]) == 0
    record = json.loads(capsys.readouterr().out)
    assert not record["settings"]["pass_right"]
    assert "tests.train.jsonl" in record["files"]
    assert record["rows"]["tests"]["train"] > 0


def test_what_cannot_be_distilled_is_told_and_nothing_is_written(finished, imported, tmp_path, capsys):
    out = tmp_path / "data"
    taken = tmp_path / "taken"
    taken.mkdir()
    for arguments, sentence in (
        ([finished, "--out", taken], f"{taken} exists. Choose another --out."),
        ([tmp_path, "--out", out], f"{tmp_path} must be a finished run but it has no candidates.parquet"),
        ([imported, "--out", out], "but only its votes were imported"),
        ([finished, "--out", out, "--problems", "x=y"], "--problems takes RUN=SOURCE for one of the runs"),
        ([finished, "--out", out, "--held-out", finished], "all of their problems are held out"),
        ([finished, "--out", out, "--template", "chat"], "need a template of tests in the form of a chat"),
        ([finished, "--out", out, "--eval-share", "1"], "--eval-share must be less than 1 but got 1"),
    ):
        assert sentence in refusal(capsys, "distill", *arguments)
        assert not out.exists()

"""``testbudget export``."""

import json

import pytest

import testbudget
from testbudget.cli.main import main


@pytest.fixture(scope="module")
def directory(recorded, tmp_path_factory):
    """Directory of a finished run."""
    return testbudget.run(recorded.job(), out=tmp_path_factory.mktemp("export") / "run").directory


def test_the_picks_go_beside_the_run_or_to_a_file(directory, tmp_path, capsys):
    assert main(["export", str(directory)]) == 0
    beside = directory.with_name("run-picks")
    count = len((beside / "picks.jsonl").read_text().splitlines())
    assert capsys.readouterr().out == f"{count} programs in {beside}\n"
    assert main(["export", str(directory), "--out", str(tmp_path / "all.jsonl"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"out": str(tmp_path / "all.jsonl"), "programs": count}


def test_a_share_that_is_none_is_refused(directory, capsys):
    assert main(["export", str(directory), "--least-p-correct", "7"]) == 2
    assert capsys.readouterr().err == "testbudget: --least-p-correct must be in [0, 1] but got 7\n"

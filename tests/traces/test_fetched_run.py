"""Finished runs at URLs, as they are read on this machine."""

import shutil
from pathlib import Path

import pytest

from testbudget import api
from testbudget.cli.main import main
from testbudget.rewards.errors import UserError
from testbudget.traces.fetched_run import local_run
from testbudget.traces.run_info import RunInfo, write_run_info

pytestmark = pytest.mark.usefixtures("temporary_folders_of_this_machine")


@pytest.fixture
def bucket(voted, tmp_path):
    """A finished run in a folder that stands for an object store."""
    shutil.copytree(voted, tmp_path / "bucket" / "run")
    write_run_info(RunInfo.of_start(("testbudget",)), tmp_path / "bucket" / "run")
    return tmp_path / "bucket" / "run"


def test_a_path_stays_as_it_is(tmp_path):
    assert local_run(tmp_path / "none") == tmp_path / "none"


def test_a_run_at_a_url_is_fetched_once_and_again_after_it_was_resumed(bucket):
    url = f"file://{bucket}"
    found = local_run(url)
    assert {path.name: path.read_bytes() for path in found.iterdir()} == {
        path.name: path.read_bytes() for path in bucket.iterdir()
    }
    (bucket / "report.html").write_text("changed")
    assert local_run(Path(url)) == found
    assert not (found / "report.html").exists()
    write_run_info(RunInfo.of_start(("testbudget", "resumed")), bucket)
    assert (local_run(url) / "report.html").read_text() == "changed"


def test_a_run_at_a_url_is_loaded_and_compared(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = f"file://{bucket}"
    assert list(api.load(url).trace.problems) == list(api.load(bucket).trace.problems)
    given = ["--policies", "uniform", "--selection", "majority", "--permutations", "2"]
    assert main(["compare", url, *given]) == 0
    assert (tmp_path / "runs" / "compare" / "run" / "grid.parquet").exists()


def test_a_url_without_a_finished_run_is_one_sentence(bucket):
    (bucket / "candidates.parquet").unlink()
    with pytest.raises(UserError, match=r"^file:///.* must be a finished run but it has no candidates"):
        local_run(f"file://{bucket}")

"""Runs from job to directory: new, refused, and resumed."""

import pytest

from testbudget.rewards.errors import UserError
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import resume_run, start_run


@pytest.fixture
def job(recorded, tmp_path):
    return load_job(recorded.write_job(tmp_path / "job.yaml"))


def test_a_run_fills_its_directory_and_reports_its_phases(job, tmp_path):
    phases = []
    directory = start_run(job, tmp_path / "runs" / "one", lambda status: phases.append(status.name))
    names = {path.name for path in directory.iterdir()}
    assert {"job.yaml", "log.sqlite", "picks.jsonl"} <= names
    assert load_job(directory / "job.yaml") == job
    assert list(dict.fromkeys(phases)) == [
        *("candidates", "hidden states", "python nothing runs", "predictions", "tests", "done")
    ]


def test_a_directory_that_exists_is_refused(job, tmp_path):
    with pytest.raises(UserError, match=r"exists\. Resume its run with --resume"):
        start_run(job, tmp_path)


def test_a_finished_run_that_is_resumed_writes_the_same_picks(job, tmp_path):
    directory = start_run(job, tmp_path / "out")
    picks = (directory / "picks.jsonl").read_bytes()
    (directory / "picks.jsonl").unlink()
    resume_run(directory)
    assert (directory / "picks.jsonl").read_bytes() == picks


def test_a_directory_without_a_log_cannot_be_resumed(tmp_path):
    with pytest.raises(UserError, match=r"has no log\.sqlite; start its job with"):
        resume_run(tmp_path)


def test_a_job_that_cannot_be_run_leaves_no_directory(recorded, tmp_path):
    section = {"base_model": "model"}  # the recorded back end refuses extraction
    job = load_job(recorded.write_job(tmp_path / "job.yaml", hidden_states=section))
    with pytest.raises(UserError, match="must take hidden states from a run"):
        start_run(job, tmp_path / "out")
    assert not (tmp_path / "out").exists()

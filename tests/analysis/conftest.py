"""Fixtures of the tests of analysis."""

from pathlib import Path

import pytest

from testbudget.scheduler.job_file import load_job


@pytest.fixture
def finished(recorded, tmp_path) -> Path:
    """Directory of a run on recorded tests with a cap of 40 tests."""
    from testbudget.scheduler.run import start_run  # loads models' modules, which few tests here need

    path = recorded.write_job(tmp_path / "job.yaml", cap={"tests": 40})
    start_run(load_job(path), tmp_path / "out")
    return tmp_path / "out"

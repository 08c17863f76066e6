"""Status of a run while it goes."""

import io

import pytest
from rich.console import Console

from testbudget.cli.console import ProgressDisplay
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run


@pytest.fixture
def lines(recorded, tmp_path):
    """Lines that a run shows where there is no terminal."""
    cap = {"tests": 12, "usd": 100.0, "prices": {"tests": 0.5}}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", cap=cap))
    written = io.StringIO()
    with ProgressDisplay(Console(file=written)) as progress:
        start_run(job, tmp_path / "out", progress.watch)
    return written.getvalue().splitlines()


def test_each_phase_is_shown_once_where_there_is_no_terminal(lines):
    assert [line.split(":")[0] for line in lines] == [
        "python nothing runs",
        "preparation",
        "tests",
        "results",
        "done",
    ]
    assert lines[1] == "preparation: 0 of 5 problems are prepared"


def test_spending_is_shown_under_each_limit_with_rates(lines):
    assert lines[-1].startswith("done: spent 12 of 12 tests, 6 of 100 usd; 5 of 5 problems have votes; ")
    assert lines[-1].endswith(" pairs/s")

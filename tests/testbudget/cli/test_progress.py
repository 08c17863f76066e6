"""Progress of a run while it goes, in a pipe and on a terminal."""

import io

import pytest
from rich.console import Console

from testbudget.cli.progress import ProgressDisplay
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run


def shown(recorded, folder, console):
    """A run with a display that writes to the console."""
    cap = {"tests": 12, "usd": 100.0, "prices": {"tests": 0.5}}
    job = load_job(recorded.write_job(folder / "job.yaml", cap=cap))
    with ProgressDisplay(console) as progress:
        start_run(job, folder / "out", progress.watch)
    return progress


@pytest.fixture
def lines(recorded, tmp_path):
    """Lines that a run shows where there is no terminal."""
    written = io.StringIO()
    shown(recorded, tmp_path, Console(file=written))
    return written.getvalue().splitlines()


def test_each_phase_is_shown_once_where_there_is_no_terminal(lines):
    assert [line.split(":")[0] for line in lines] == [
        "reading the problems",
        "reading candidates, tests and models",
        "starting workers",
        "python nothing runs",
        "preparation",
        "tests",
        "results",
        "done",
    ]
    assert lines[4] == "preparation: 0 of 5 problems prepared"


def test_spending_is_shown_under_each_limit_with_rates(lines):
    assert lines[-1].startswith(
        "done: spent 12 of 12 tests, 6 of 100 usd; 5 of 5 problems settled, 5 with "
    )
    assert lines[-1].endswith(" pairs/s")


def test_a_terminal_shows_bars_rates_and_pools(recorded, tmp_path, monkeypatch):
    monkeypatch.setattr("testbudget.cli.progress._LIVE_INTERVAL_SECONDS", 0.0)
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, color_system=None)
    progress = shown(recorded, tmp_path, console)
    screen = written.getvalue()
    for words in (
        "reading the problems … 0 s",
        "12 of 12",
        "6 of 100",
        "problems settled",
        "runners ",
        "busy",
    ):
        assert words in screen
    assert progress.seconds is not None

"""The live page: it follows a run by its log, across a resume, and then shows the finished run."""

import json
import shutil
import sqlite3
import urllib.error
import urllib.request

import pytest

from testbudget.analysis.view.live_log import LiveLog
from testbudget.analysis.view.server import PageServer
from testbudget.rewards.errors import UserError
from testbudget.scheduler.event_log import LOG_FILE
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run
from testbudget.traces.tables import read_trace


@pytest.fixture(scope="module")
def finished(recorded, tmp_path_factory):
    """Directory of a finished run with a cap of 20 tests."""
    folder = tmp_path_factory.mktemp("live")
    start_run(load_job(recorded.write_job(folder / "job.yaml", cap={"tests": 20})), folder / "run")
    return folder / "run"


def unfinished(finished, directory, entries):
    """A run directory whose log holds the first entries of a finished run's; a function that adds more."""
    directory.mkdir()
    shutil.copy(finished / "job.yaml", directory)
    with sqlite3.connect(finished / LOG_FILE) as whole:
        whole.execute("VACUUM INTO ?", (str(directory / LOG_FILE),))
        (last,) = whole.execute("SELECT MAX(seq) FROM events").fetchone()
    with sqlite3.connect(directory / LOG_FILE) as log:
        log.execute("PRAGMA journal_mode = WAL")
        for table in ("records", "events"):
            log.execute(f"DELETE FROM {table} WHERE seq > ?", (entries,))

    def grow(until=last):
        with sqlite3.connect(directory / LOG_FILE) as log:
            log.execute("ATTACH ? AS whole", (str(finished / LOG_FILE),))
            for table in ("events", "records"):
                log.execute(
                    f"INSERT INTO {table} SELECT * FROM whole.{table} WHERE seq <= ? "
                    f"AND seq > (SELECT COALESCE(MAX(seq), 0) FROM {table})",
                    (until,),
                )

    return grow


def test_a_log_is_folded_to_the_figures_of_the_finished_run(finished):
    log = LiveLog.of_run(finished)
    assert log.read()
    assert not log.read()
    trace = read_trace(finished)
    assert log.expected == len(trace.problems)
    for problem, seen in trace.problems.items():
        state = log.problems[problem]
        assert state.tests == len(seen.tests)
        assert state.voting == len(seen.verdicts)
        assert state.candidates == len(seen.candidates)
        assert state.correct.tolist() == seen.correct.tolist()
    assert log.curve[-1][0] == sum(len(seen.tests) for seen in trace.problems.values())
    assert len(log.take_changed()) == len(trace.problems)
    assert log.take_changed() == []


def test_a_log_in_parts_gives_the_same_as_the_whole(finished, tmp_path):
    grow = unfinished(finished, tmp_path / "run", 3)
    log = LiveLog.of_run(tmp_path / "run")
    for until in (3, 4, 9, 10**9):
        grow(until)
        log.read()
    whole = LiveLog.of_run(finished)
    whole.read()
    assert log.rows() == whole.rows()
    assert log.epoch == whole.epoch == 1


def test_the_page_follows_a_run_until_its_tables_can_be_read(finished, tmp_path, show):
    run = tmp_path / "run"
    grow = unfinished(finished, run, 6)
    with PageServer([run]) as server:
        tab = show(server.url, "live")
        tab.wait_for_selector(".squares i")
        tests = sum(len(seen.tests) for seen in read_trace(finished).problems.values())
        assert not tab.inner_text(".lead p").startswith(f"{tests} tests so far")
        grow()
        tab.wait_for_selector(f".lead p:has-text('{tests} tests so far')")
        with sqlite3.connect(run / LOG_FILE) as log:  # a second driver
            log.execute("INSERT INTO events (time, kind, numbers) VALUES (99, 'DriverRestarted', '{}')")
            log.execute("INSERT INTO events (time, kind, numbers) VALUES (99, 'paused', '{}')")
        for file in sorted(finished.iterdir(), key=lambda file: file.name.startswith("candidates")):
            if file.suffix in {".parquet", ".json", ".jsonl"}:
                shutil.copy(file, run)
        tab.wait_for_selector("a[href='#/overview']:has-text('See what it brought')")
        tab.click("a:has-text('See what it brought')")
        tab.wait_for_selector(".outcomes")
        tab.evaluate("location.hash = '#/problem/times%2F2'")
        tab.wait_for_selector("td.at")


def test_messages_go_on_after_the_last_one_that_came(finished, tmp_path):
    grow = unfinished(finished, tmp_path / "run", 5)
    with PageServer([tmp_path / "run"]) as server:

        def events(query):
            with urllib.request.urlopen(f"{server.url}events?{query}") as answer:
                return json.load(answer)

        (first,) = events("wait=0")
        assert first["whole"]
        while len(first["rows"]) == 0:
            (first,) = events("wait=0")
        grow()
        later = events(f"wait=20&from={first['id']}")
        assert later
        assert all("whole" not in message for message in later)
        (again,) = events("wait=0&from=7.1")  # of another driver
        assert again["whole"]
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.url}elsewhere")


def test_two_runs_that_go_on_are_refused(finished, tmp_path):
    for name in ("one", "two"):
        unfinished(finished, tmp_path / name, 2)
    with pytest.raises(UserError, match="at most one run that goes on"):
        PageServer([tmp_path / "one", tmp_path / "two"])


def test_a_directory_without_a_log_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"it has no log\.sqlite"):
        PageServer([tmp_path])

"""A run seen and steered from outside, by files alone, while its driver works."""

import json
import threading
import time

import pytest

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.outside import RunStopped
from testbudget.scheduler.run import resume_run, start_run
from testbudget.scheduler.structured_log import LOG_LINES_FILE
from testbudget.traces.live_status import read_live_status
from testbudget.traces.run_info import read_run_info
from testbudget.traces.run_place import LocalPlace
from testbudget.traces.run_requests import ask_driver


@pytest.fixture
def job(recorded, tmp_path):
    return load_job(recorded.write_job(tmp_path / "job.yaml", policy={"name": "uniform", "window": 4}))


_LOOKS_SECONDS = 0.6  # more than the driver waits between two looks


class Outsider:
    """Requests of another thread, sent one after another once the run makes tests.

    The first has to hold the run, or to end it: no more than that one is sure to be seen in time.
    """

    def __init__(self, directory, *requests):
        self.place = LocalPlace(directory)
        self.requests = requests
        self.answers = []
        self.asking = threading.Thread(target=self.ask)

    def watch(self, status):
        """Called by the driver: let it wait until the first request lies there."""
        if status.name != "tests" or self.asking.ident is not None:
            return
        self.asking.start()
        while not self.place.files("control"):
            time.sleep(0.01)
        time.sleep(_LOOKS_SECONDS)  # so that the driver looks in its next step

    def ask(self):
        for action, limits in self.requests:
            try:
                self.answers.append(ask_driver(self.place, action, limits, patience=60))
            except UserError as error:
                self.answers.append(str(error))

    def done(self):
        self.asking.join()
        return self.answers


def test_a_finished_run_says_so_with_its_books_and_keeps_its_id(job, tmp_path):
    directory = start_run(job, tmp_path / "out")
    status = read_live_status(LocalPlace(directory))
    assert (status.state, status.phase, status.error) == ("finished", "done", None)
    assert status.cap == {"tests": 12}
    assert status.spent["tests"] == 12
    assert status.in_flight["tests"] == 0
    assert status.problems["all"] == status.problems["settled"] == status.problems["labelled"] == 5
    assert sum(status.verdicts.values()) > 0
    assert status.run == read_run_info(directory).run
    assert len(status.run) == 12
    resume_run(directory)
    assert read_live_status(LocalPlace(directory)).run == status.run


def test_a_raised_cap_is_spent_and_a_wrong_one_refused_in_a_sentence(job, tmp_path):
    caps = ("cap", {"gpu_seconds": 5.0}), ("cap", {"tests": 20.0})
    outsider = Outsider(tmp_path / "out", ("pause", {}), *caps, ("continue", {}))
    directory = start_run(job, tmp_path / "out", outsider.watch)
    _, refused, accepted, _ = outsider.done()
    assert refused.startswith("gpu_seconds must have a limit from the start of the run")
    assert accepted.endswith("is now 20 tests")
    status = read_live_status(LocalPlace(directory))
    assert (status.cap["tests"], status.spent["tests"]) == (20, 20)
    assert LocalPlace(directory).files("control") == []
    assert [line["limits"] for line in log_lines(directory) if "limits" in line] == [{"tests": 20.0}]


def test_a_paused_run_grants_nothing_until_it_goes_on(job, tmp_path):
    outsider = Outsider(tmp_path / "out", ("pause", {}), ("continue", {}))
    directory = start_run(job, tmp_path / "out", outsider.watch)
    paused, goes_on = outsider.done()
    assert "is paused" in paused
    assert goes_on.endswith("goes on")
    assert read_live_status(LocalPlace(directory)).spent["tests"] == 12
    said = [line["message"] for line in log_lines(directory)]
    assert said.index("the run is paused") < said.index("the run goes on")


def test_a_stopped_run_can_be_resumed(job, tmp_path):
    outsider = Outsider(tmp_path / "out", ("stop", {}))
    with pytest.raises(RunStopped, match="continue with testbudget run --resume"):
        start_run(job, tmp_path / "out", outsider.watch)
    assert "stops now" in outsider.done()[0]
    place = LocalPlace(tmp_path / "out")
    assert read_live_status(place).state == "stopped"
    info = read_run_info(tmp_path / "out")
    assert (info.finished, info.ended is None) == (None, False)
    resume_run(tmp_path / "out")
    assert read_live_status(place).state == "finished"
    info = read_run_info(tmp_path / "out")
    assert info.started <= info.finished <= info.ended


def test_a_failed_run_says_why(job, tmp_path):
    def fail(status):
        if status.name == "tests":
            raise InfrastructureError("the disk  is gone")

    with pytest.raises(InfrastructureError):
        start_run(job, tmp_path / "out", fail)
    status = read_live_status(LocalPlace(tmp_path / "out"))
    assert (status.state, status.error) == ("failed", "the disk is gone")


def log_lines(directory):
    text = (directory / LOG_LINES_FILE).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(line["run"] == read_run_info(directory).run for line in lines)
    return lines

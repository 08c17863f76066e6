"""Figures of a run that goes on, and of one that has finished, in a function of a tracker."""

import pytest

import testbudget
from testbudget.trackers import tracker


class Logged(list):
    def __call__(self, figures, *, step):
        self.append((step, figures))


def test_a_run_logs_its_first_and_last_status_and_none_between_if_it_is_short(recorded, tmp_path):
    logged = Logged()
    job = recorded.write_job(tmp_path / "job.yaml")
    run = testbudget.run(job, out=tmp_path / "run", watch=tracker(logged, every_seconds=1e9))
    first, *between, last = [figures for _, figures in logged]
    assert between == []
    assert first["spent/tests"] == 0 < last["spent/tests"] <= last["cap/tests"]
    assert last["problems/with_votes"] <= last["problems/all"] == len(recorded.problems)
    assert [step for step, _ in logged] == sorted(step for step, _ in logged)
    figures = testbudget.run_figures(run)
    assert figures["spent/tests"] == last["spent/tests"]
    assert figures["accuracy"] == run.summary.accuracy
    assert sum(figures[name] for name in figures if name.startswith("verdicts/")) > 0


def test_every_status_is_logged_if_asked_for(recorded, tmp_path):
    every, seen = Logged(), []
    log = tracker(every, every_seconds=0)

    def watch(status):
        seen.append(status.name)
        log(status)

    testbudget.run(recorded.write_job(tmp_path / "job.yaml"), out=tmp_path / "run", watch=watch)
    assert len(every) == len(seen) > 2


def test_unknown_figures_are_left_out(imported):
    figures = testbudget.run_figures(testbudget.load(imported))
    assert "usd" not in figures
    assert all(isinstance(value, float) for value in figures.values())


def test_a_negative_interval_is_refused():
    with pytest.raises(ValueError, match="every_seconds must be at least 0 but got -1"):
        tracker(Logged(), every_seconds=-1)

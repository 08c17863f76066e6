"""Output of ``testbudget status`` on live, silent, finished and imported runs."""

import json
import os
import time

import pytest

from testbudget.cli.main import main
from testbudget.cli.status import status_lines
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run
from testbudget.traces.live_status import STATUS_FILE, LiveStatus, PoolStatus, write_live_status
from testbudget.traces.run_place import LocalPlace

LIVE = LiveStatus(
    run="0123456789ab",
    state="running",
    phase="tests",
    host="head",
    pid=12,
    written=1.0,
    seconds=7300.0,
    cap={"tests": 1000, "gpu_seconds": 50.0},
    spent={"tests": 400, "gpu_seconds": 10.5, "tokens": 12345},
    lost={"gpu_seconds": 0.5},
    in_flight={"tests": 16, "gpu_seconds": 5.0},
    rates={"tests": 2.0, "gpu_seconds": 0.0},
    seconds_left=300.0,
    problems={"all": 9, "prepared": 8, "with_votes": 7, "settled": 3, "labelled": 2, "quarantined": 1},
    pools={
        "reward_model": PoolStatus(1, 4, 2, starting=3, restarted=2, waiting="waiting for 3 engines"),
        "runner": PoolStatus(8, 8, 0, quarantined=1),
    },
)


def test_a_live_run_is_shown_by_unit_problem_and_pool():
    assert status_lines("runs/a", LIVE, 0.0) == [
        "runs/a: running (tests, 2.0 h on its clock)",
        "  tests        400 of 1,000 spent, 16 in flight, 2 per second",
        "  tokens       12,345 spent",
        "  gpu_seconds  10.5 of 50 spent, 5 in flight, 0.5 lost",
        "  time left    about 5 min at this rate",
        "  problems     3 of 9 settled, 7 with votes, 8 prepared, 2 labelled, 1 quarantined",
        "  reward model 1 alive, 4 calls in progress, 2 waiting, 3 starting, 2 restarted",
        "               waiting for 3 engines",
        "  runner       8 alive, 8 calls in progress, 0 waiting, 1 calls quarantined",
    ]


def test_a_driver_that_is_gone_is_called_silent(tmp_path, capsys):
    write_live_status(LIVE, LocalPlace(tmp_path))
    assert main(["status", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "its driver (process 12 on head) has been silent for" in said
    assert f"continue with testbudget run --resume {tmp_path}" in said


def test_a_finished_run_has_every_field_as_json(recorded, tmp_path, capsys):
    start_run(load_job(recorded.write_job(tmp_path / "job.yaml")), tmp_path / "out")
    assert main(["status", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == "finished"
    assert found["spent"]["tests"] == found["cap"]["tests"] == 12
    assert found["silent_seconds"] == 0.0
    assert found["problems"]["settled"] == 5
    assert time.time() - found["written"] < 3600


def test_a_run_that_was_imported_is_finished(recorded, capsys):
    assert main(["status", str(recorded.directory)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{recorded.directory}: finished"


@pytest.mark.parametrize("content", [b"{}", b"[1]", b"{", b'{"format": 1, "pools": {}}', b'{"format": 9}'])
def test_a_status_that_cannot_be_read_is_one_sentence(content, tmp_path, capsys):
    (tmp_path / STATUS_FILE).write_bytes(content)
    assert main(["status", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_driver_that_ended_before_its_first_status_is_silent(tmp_path, capsys):
    (tmp_path / "job.yaml").touch()
    os.utime(tmp_path / "job.yaml", (1e9, 1e9))
    assert main(["status", str(tmp_path)]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith("running (preparation)")
    assert second.startswith("  its driver has been silent for ")
    assert second.endswith(f"continue with testbudget run --resume {tmp_path}")


def test_a_place_without_a_run_is_refused(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    assert "must be a run but it has no job.yaml" in capsys.readouterr().err

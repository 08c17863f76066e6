"""Jobs on a real cluster with its job server: submitted, seen, stopped, and submitted again."""

import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from testbudget.traces.live_status import read_live_status
from testbudget.traces.run_place import LocalPlace
from testbudget.traces.run_requests import ask_driver

pytest.importorskip("aiohttp_cors", reason="needs ray[default]: make test-jobs")
pytestmark = pytest.mark.cluster
PATIENCE = 240.0


def submit(server, work, *arguments):
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", server.url]
    command += ["--working-dir", str(work), "--", "testbudget", "run", "job.yaml", *arguments]
    ended = subprocess.run(
        command, env=server.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


def until(found):
    """Result of a function, once it gives one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.2)
    raise AssertionError("it did not happen")


def metrics_of(server):
    try:
        with urllib.request.urlopen(server.metrics, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith("ray_testbudget_")]


def test_a_submitted_job_runs_on_its_cluster_and_leaves_its_run_outside_of_rays_cache(server, work):
    code, output = submit(server, work)
    directory = server.home / "runs" / "job"
    assert code == 0, output
    assert f"run directory: {directory}" in output
    assert read_live_status(LocalPlace(directory)).state == "finished"
    assert (directory / "picks.jsonl").exists()
    code, output = submit(server, work)
    assert code != 0
    assert f"{directory} holds the finished run of this job" in output


def test_a_run_on_a_cluster_is_seen_steered_stopped_and_continued(server, work, tmp_path):
    directory = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "testbudget",
        "run",
        "job.yaml",
        "--out",
        str(directory),
        "--or-resume",
    ]
    environment = server.environment | {"RAY_ADDRESS": server.gcs}
    place = LocalPlace(directory)
    with subprocess.Popen(
        [*command, "--policy.window", "1"],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda: (status := read_live_status(place)) and status.is_live and status)
        assert "is paused" in ask_driver(place, "pause", patience=PATIENCE)
        status = until(lambda: (found := read_live_status(place)).state == "paused" and found)
        spent = until(lambda: [line for line in metrics_of(server) if "testbudget_spent{" in line])
        assert any(f'run="{status.run}"' in line and 'unit="tests"' in line for line in spent)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        out, err = process.communicate(timeout=PATIENCE)
        seconds = time.monotonic() - began
    assert process.returncode == 130
    assert err.strip().splitlines() == [
        f"testbudget: interrupted; nothing is lost: continue with testbudget run --resume {directory}"
    ]
    assert not [line for line in out.splitlines() if "ray" in line.lower() and "runs" not in line]
    assert read_live_status(place).state == "stopped"
    print(f"from SIGTERM to the end: {seconds:.1f} s")
    with subprocess.Popen([*command, "--policy.window", "1"], cwd=work, env=environment) as process:
        until(lambda: read_live_status(place).state == "paused")
        assert ask_driver(place, "continue", patience=PATIENCE).endswith("goes on")
        assert process.wait(PATIENCE) == 0
    assert read_live_status(place).state == "finished"

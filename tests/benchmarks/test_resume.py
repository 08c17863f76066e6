"""Killed runs are compared with whole ones, and none of their processes is lost sight of."""

import subprocess
import sys
from dataclasses import replace

import pytest

from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import start_run


@pytest.fixture
def job(recorded, tmp_path):
    return recorded.write_job(tmp_path / "job.yaml", cap={"tests": 30})


@pytest.fixture
def whole(job, tmp_path):
    return start_run(load_job(job), tmp_path / "whole")


def test_a_run_that_is_killed_and_resumed_differs_in_nothing(script, job, whole, tmp_path):
    resume = script("resume")
    undisturbed = resume.Results.of(whole)
    assert undisturbed.differences(undisturbed) == []
    found = resume.run_killed(job, tmp_path / "out", [3, 9], undisturbed)
    assert (found.kills, found.differences) == (2, [])
    assert 1 <= found.inside <= 2
    assert found.undone >= 1


def test_whatever_differs_is_named(script, whole):
    results = script("resume").Results.of(whole)
    other = replace(results, picks="", outputs={}, twice=1, mismatches=2)
    assert other.differences(results) == [
        "picks",
        "outputs",
        "charged twice",
        "books differ from the log",
    ]


def test_processes_whose_parents_have_ended_are_found_and_ended(script):
    code = """
import os, signal, subprocess, sys
sys.path.insert(0, sys.argv[1])
import own_processes
own_processes.adopt_orphans()
sleeper = "import time; time.sleep(600)"
inner = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}])"
subprocess.run([sys.executable, "-c", inner], check=True)
assert len(own_processes.descendants()) == 1
(line,) = own_processes.end_descendants(0.0)
assert "sleep(600)" in line
assert not own_processes.descendants()
"""
    folder = script("own_processes").__file__.rpartition("/")[0]
    subprocess.run([sys.executable, "-c", code, folder], check=True, timeout=60)

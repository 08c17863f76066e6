"""Runs whose process is killed, whose disk is full or read-only, or whose job was edited: all continue."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbudget.cli.main import main
from testbudget.executors.execution.sandbox import kernel
from testbudget.scheduler.event_log import LOG_FILE
from testbudget.traces.output_tables import pack_outputs, read_outputs
from testbudget.traces.run_info import read_run_info
from testbudget.traces.tables import read_trace

from .cut_runs import last_seq

KILLED_RUN = Path(__file__).parents[2] / "benchmarks" / "killed_run.py"
SECONDS = 120
INFRASTRUCTURE_ERROR, USER_ERROR = 1, 2


def run(*arguments):
    """Run a command to its end, in this process: a new one takes longer to start than a run here."""
    assert main(["run", *map(str, arguments)]) == 0


def run_after(before, *arguments):
    """Run a command in a process of its own, after a function that is called in it."""
    command = [sys.executable, "-m", "testbudget", "run", *map(str, arguments)]
    return subprocess.run(
        command, preexec_fn=before, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def run_killed(position, moment, note, *arguments):
    """Run a command that is killed when its log has so many entries."""
    command = [sys.executable, KILLED_RUN, str(position), moment, note, "run", *arguments]
    ended = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def sentence(ended, code):
    """The one line that a command has ended with."""
    assert ended.returncode == code, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("testbudget: ")
    return line


def found(directory):
    """What a run has found: picks, verdicts, recorded outputs, and what was counted."""
    verdicts = {
        (problem, test): record.verdicts.tolist()
        for problem, seen in read_trace(directory).problems.items()
        for test, record in seen.verdicts.items()
    }
    outputs = {problem: pack_outputs(of_problem) for problem, of_problem in read_outputs(directory).items()}
    books = read_run_info(directory).books
    counted = [books[name][quantity] for name in books for quantity in ("tests", "executions")]
    return (directory / "picks.jsonl").read_text(), verdicts, outputs, counted


@pytest.fixture(scope="module")
def job(recorded, tmp_path_factory):
    """A job that takes milliseconds, by the recorded back end."""
    return recorded.write_job(tmp_path_factory.mktemp("job") / "job.yaml", cap={"tests": 30})


@pytest.fixture(scope="module")
def whole(job, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "out"
    run(job, "--out", directory)
    return directory


def test_a_run_in_process_that_is_killed_three_times_ends_as_if_it_had_not_been(recorded, tmp_path):
    fields = {"backend": "in_process", "execution": {"runners": 2}, "elimination": {"apply_to": "all"}}
    job = recorded.write_job(tmp_path / "job.yaml", cap={"tests": 30}, **fields)
    run(job, "--out", tmp_path / "whole")
    entries, directory, note = last_seq(tmp_path / "whole"), tmp_path / "out", tmp_path / "note"
    arguments = [job, "--out", directory]
    for share, moment in ((0.25, "open"), (0.5, "commit"), (0.75, "durable")):
        run_killed(int(share * entries), moment, note, *arguments)
        assert moment != "open" or note.read_text() == "inside"
        arguments = ["--resume", directory]
    run(*arguments)
    assert found(directory) == found(tmp_path / "whole")
    assert len(read_run_info(directory).resumes) == 3


def test_a_run_that_is_killed_in_its_first_write_is_continued(job, whole, tmp_path):
    directory = tmp_path / "out"
    run_killed(1, "open", tmp_path / "note", job, "--out", directory)
    run("--resume", directory)
    assert found(directory) == found(whole)


@pytest.mark.parametrize("kilobytes", [80, 160])
def test_a_full_disk_stops_a_run_with_one_sentence_and_it_is_continued(job, whole, tmp_path, kilobytes):
    def no_more_space():
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))

    directory = tmp_path / "out"
    line = sentence(run_after(no_more_space, job, "--out", directory), INFRASTRUCTURE_ERROR)
    assert f"the run stopped and can be resumed: {directory / LOG_FILE} cannot be written: " in line
    assert line.endswith(f"continue with testbudget run --resume {directory}")
    before = last_seq(directory)
    again = sentence(run_after(no_more_space, "--resume", directory), INFRASTRUCTURE_ERROR)
    assert "can be resumed" in again
    assert last_seq(directory) >= before
    run("--resume", directory)
    assert found(directory) == found(whole)


def test_a_disk_without_room_for_a_log_is_refused_with_one_sentence(job, whole, tmp_path):
    def no_space():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    directory = tmp_path / "out"
    line = sentence(run_after(no_space, job, "--out", directory), USER_ERROR)
    assert f"{directory / LOG_FILE} cannot be written: " in line
    run("--resume", directory)
    assert found(directory) == found(whole)


def test_a_read_only_directory_is_refused_with_one_sentence(job, tmp_path):
    tmp_path.chmod(0o555)
    line = sentence(run_after(kernel.drop_capabilities, job, "--out", tmp_path / "out"), USER_ERROR)
    assert str(tmp_path) in line
    assert "Permission denied" in line


def test_a_run_in_a_directory_that_was_made_read_only_is_continued_once_it_is_not(job, whole, tmp_path):
    directory = tmp_path / "out"
    run_killed(9, "open", tmp_path / "note", job, "--out", directory)
    for path in (*directory.iterdir(), directory):
        path.chmod(0o555 if path.is_dir() else 0o444)
    line = sentence(run_after(kernel.drop_capabilities, "--resume", directory), USER_ERROR)
    assert str(directory) in line
    assert "cannot be written" in line
    for path in (directory, *directory.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    run("--resume", directory)
    assert found(directory) == found(whole)


def test_an_edited_job_is_refused_with_one_sentence_and_the_run_is_continued_with_the_old_one(
    job, whole, tmp_path, capsys
):
    directory = tmp_path / "out"
    run_killed(9, "open", tmp_path / "note", job, "--out", directory)
    file = directory / "job.yaml"
    text = file.read_text()
    file.write_text(text.replace("tests: 30", "tests: 31"))
    assert main(["run", "--resume", str(directory)]) == USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("testbudget: ")
    assert "must be as the run began with it but cap.tests was 30 and is 31: restore the file" in line
    file.write_text(text)
    run("--resume", directory)
    assert found(directory) == found(whole)


def test_a_killed_run_leaves_no_lock_behind(job, tmp_path, capsys):
    directory = tmp_path / "out"
    run_killed(9, "durable", tmp_path / "note", job, "--out", directory)
    run("--resume", directory, "--json")
    assert json.loads(capsys.readouterr().out)["directory"] == str(directory)

"""The whole command line: help, suggestions, exit codes, and one sentence for every failure."""

import subprocess
import sys

import pytest

from testbudget.cli import main as module
from testbudget.cli.main import COMMANDS, main
from testbudget.rewards.errors import InfrastructureError, SandboxError

JOB = """
problems: {source: humaneval}
candidates: {from_file: c.jsonl}
tests: {from_run: runs/x}
cap: {tests: 9}
"""


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return str(path)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--cap.test", "5"], "--cap.test is not a flag of run: did you mean --cap.tests?"),
        (["--cap.tests", "five"], "--cap.tests must be a whole number but got 'five'"),
        (["--cap.tests", "1.5"], "--cap.tests must be a whole number but got '1.5'"),
        (["--cap.tests", "0"], "--cap.tests must be at least 1 but got 0"),
        (["--cap.tests"], "--cap.tests needs a value"),
        (
            ["--backend", "rya"],
            "--backend must be one of ray, in_process, recorded but got 'rya': did you mean ray?",
        ),
        (
            ["--policy.max_tests", "5"],
            "--policy.max_tests must be written with hyphens: --policy.max-tests",
        ),
        (["--cap.tests", "5", "--cap.tests", "6"], "--cap.tests can be given only once"),
        (["again"], "again is one argument too many"),
    ],
)
def test_a_wrong_flag_is_told_in_one_sentence(job, flags, sentence, capsys):
    assert main(["run", job, *flags]) == 2
    assert tuple(capsys.readouterr()) == ("", f"testbudget: {sentence}\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rum"], "rum is not a command: did you mean run?"),
        (["--versio"], "--versio is not a flag: did you mean --version?"),
        (["compare"], "RUN is required"),
        (["import", "vote"], "vote is not a command of import: see testbudget import --help"),
    ],
)
def test_a_wrong_command_is_told_in_one_sentence(words, sentence, capsys):
    assert main(words) == 2
    assert tuple(capsys.readouterr()) == ("", f"testbudget: {sentence}\n")


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (InfrastructureError("a node died"), 1, "the run stopped and can be resumed: a node died"),
        (SandboxError("no fork"), 1, "stopped without results: no fork"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            ModuleNotFoundError("", name="optuna.trial"),
            2,
            "problems needs optuna.trial: pip install 'testbudget[tune]'",
        ),
    ],
)
def test_every_failure_has_its_exit_code_and_one_sentence(monkeypatch, capsys, error, code, sentence):
    def fail(_source, limit):
        raise error

    monkeypatch.setattr("testbudget.traces.problems.read_problem_rows", fail)
    assert main(["problems", "humaneval"]) == code
    message = capsys.readouterr().err
    assert message.startswith(f"testbudget: {sentence}")
    assert message.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_in_its_help(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"testbudget {name}" in capsys.readouterr().out.partition("Example")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_texts_of_a_help_fit_into_eighty_columns(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main([name, "--help"])
    narrow = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "200")
    main([name, "--help"])
    examples = capsys.readouterr().out.partition("Example")[2]
    assert examples.splitlines() == narrow.partition("Example")[2].splitlines()


def test_the_list_of_commands_shows_each_with_its_summary(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert [name for name, command in COMMANDS.items() if command.summary not in printed] == []


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()[0].isdigit()


def test_a_reader_that_stops_is_no_failure():
    command = [sys.executable, "-m", "testbudget", "problems", "humaneval"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_extras_are_those_of_the_package():
    from importlib.metadata import metadata

    assert set(module.EXTRAS.values()) <= set(metadata("testbudget").get_all("Provides-Extra"))

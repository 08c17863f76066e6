"""Paths that hold no run, of which all commands say the same."""

import pytest

from testbudget.cli.main import main
from testbudget.traces.missing_run import missing_run

COMMANDS = (
    ("status", "{}"),
    ("ctl", "{}", "pause"),
    ("run", "--resume", "{}"),
    ("view", "{}"),
    ("report", "{}", "--out", "{}.html"),
    ("compare", "{}"),
    ("tune", "{}", "--tests-per-problem", "2"),
    ("train", "{}", "--out", "{}.model"),
    ("export", "{}", "--out", "{}.out"),
    ("distill", "{}", "--out", "{}.out"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_all_commands_say_the_same_of_a_path_where_nothing_is(words, tmp_path, capsys):
    path = tmp_path / "none"
    assert main([word.format(path) for word in words]) == 2
    assert (
        f"testbudget: {path} must be a run but there is nothing of that name\n" in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [("job.yaml", "testbudget run {} starts a job"), ("votes.npz", "testbudget import votes makes a run")],
)
@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if words[0] in ("status", "ctl", "run", "view")]
)
def test_a_file_in_the_place_of_a_run_is_told_with_what_to_do(words, name, advice, tmp_path, capsys):
    path = tmp_path / name
    path.touch()
    assert main([word.format(path) for word in words]) == 2
    assert f"{path} must be a run but it is a file: {advice.format(path)}" in capsys.readouterr().err


def test_a_directory_or_url_without_a_run_is_told_with_the_file_that_it_lacks(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "other").touch()
    for target in (folder, f"file://{folder}"):
        error = missing_run(target, "log.sqlite", "a run that was started")
        assert str(error) == f"{target} must be a run that was started but it has no log.sqlite"
    gone = f"file://{tmp_path}/none"
    assert str(missing_run(gone, "job.yaml")) == f"{gone} must be a run but there is nothing of that name"

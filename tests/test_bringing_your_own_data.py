"""The page on own data: its files are read, and its commands print what it shows."""

import json
import re
import shlex
from pathlib import Path

import pytest

from testbudget.cli.main import main
from testbudget.traces.forms.registry import FORMS

PAGE = (Path(__file__).parents[1] / "docs" / "bringing_your_own_data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*) ?(.*)\n((?s:.*?))^```$", PAGE, re.MULTILINE)
COMMANDS = [content for kind, _, content in BLOCKS if kind == "console"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for kind, name, content in BLOCKS:
        if kind != "console":
            (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_is_a_file_or_a_command():
    assert all(kind == "console" or name for kind, name, _ in BLOCKS)
    assert len(COMMANDS) == 6


@pytest.mark.parametrize(
    "block", COMMANDS, ids=lambda block: block.partition("\n")[0].removeprefix("$ testbudget ")
)
def test_a_command_prints_what_the_page_shows(block, folder, capsys):
    command, _, shown = block.partition("\n")
    code = main(shlex.split(command)[2:])
    printed = capsys.readouterr()
    lines = shown.rstrip().split("\n")
    assert code == (2 if lines[-1].startswith("testbudget: ") else 0)
    if lines[0] == "...":
        printed_here = (printed.out + printed.err).replace(str(Path.cwd()), "/home/ada")
        assert printed_here.rstrip().endswith("\n".join(lines[1:]))
    else:
        assert printed.out.rstrip() == "\n".join(lines)
    if command.endswith("run job.yaml"):
        picks = [json.loads(line) for line in (folder / "runs/job/picks.jsonl").read_text().splitlines()]
        assert [pick["candidate"] for pick in picks] == [0, 1, 0]
        assert (picks[0]["metadata"], picks[0]["candidate_metadata"]) == (
            {"level": "easy"},
            {"temperature": 0.2},
        )


def test_every_preset_is_described():
    assert set(
        re.findall(
            r"^\| `([^`]+)` \| ",
            PAGE.partition("### Presets")[2].partition("## Candidates")[0],
            re.MULTILINE,
        )
    ) == set(FORMS)

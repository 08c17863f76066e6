"""Every block of code of README, docs and examples is run, page by page, as a reader would.

A block says by its language and its title what it is:

- ``title="NAME"`` is a file of the page's folder; a YAML file that holds a job is checked as one.
- ``title="needs …"`` or ``"takes …"`` names one of `MARKS`: the block is checked and not run.
- ``console`` shows commands after ``$`` and what they print; ``...`` stands for anything.
- ``bash`` holds commands of testbudget, ``python`` a program; those of one page share its folder and names.
- ``yaml`` without a title holds sections of a job.

A page starts in a folder with a small job, its files, two finished runs and the examples of the repository.
"""

import itertools
import json
import os
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import yaml

from testbudget.cli.main import build_app, main
from testbudget.scheduler.job import Job
from testbudget.scheduler.job_file import check_job, load_job
from testbudget.traces.forms.registry import FORMS
from tests.openai_server import openai_server
from tests.runs.imported import vote_arrays, write_with_states

ROOT = Path(__file__).parents[1]
PAGES = [
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "examples/*/README.md")
    for path in sorted(ROOT.glob(pattern))
]
OWN_TESTS = {
    "docs/distilling.md": "tests/test_distilling.py",
    "docs/extending.md": "tests/test_extending.py",
}
"""Pages whose blocks are run by a test file of their own."""
MARKS = {
    "needs a checkout",
    "needs a key",
    "needs a GPU",
    "needs a Ray cluster",
    "needs MLflow",
    "needs TRL and a model",
    "takes minutes",
}
"""Reasons for which a block is not run."""
GIVEN = {
    "docs/importing_votes.md": (
        "import numpy as np\n"
        "mine = {'a': (np.eye(2, dtype=int), np.array([1, 0]))}\n"
        "ids, votes, labels = ['a'], [np.eye(2, dtype=int)], [np.array([1, 0])]\n"
    ),
}
"""Names that the Python blocks of a page take as given."""
SERVED = "http://localhost:11434/v1"


class Block(NamedTuple):
    """A fenced block of a page."""

    place: str
    language: str
    title: str
    text: str

    @property
    def mark(self):
        return self.title if re.match(r"(?:needs|takes) ", self.title) else ""


def blocks_of(page):
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    blocks, opened = [], None
    for number, line in enumerate(lines, start=1):
        fence = re.match(r'^( *)```(\w*)(?: title="([^"]+)")?$', line)
        if opened is None and line.lstrip().startswith("```"):
            assert fence, f"{page}:{number} must open a block with a language and at most a title"
            opened = (number, fence, [])
        elif opened and line == f"{opened[1][1]}```":
            start, fence, inside = opened
            blocks.append(Block(f"{page}:{start}", fence[2], fence[3] or "", "".join(inside)))
            opened = None
        elif opened:
            opened[2].append(line.removeprefix(opened[1][1]) + "\n")
    assert opened is None, f"{page}: a block does not end"
    return blocks


BLOCKS = {page: blocks_of(page) for page in PAGES if page not in OWN_TESTS}


def answer(prompt, seed):
    """A program, or a test if one is asked for, of the function in the prompt; they differ by the seed."""
    name = re.findall(r"def (\w+)", prompt)[0]
    if "unittest" not in prompt:
        return f"```python\ndef {name}(*given):\n    return {seed % 3}\n```"
    test = f"        self.assertEqual({name}({seed % 99}), 0)"
    head = "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
    return f"```python\n{head}{test}\n```"


@pytest.fixture(scope="module")
def server():
    with openai_server() as running:
        running.answer, running.models = answer, ["qwen2.5-coder"]
        yield running


@pytest.fixture(scope="module")
def start(imported, tmp_path_factory):
    """The folder that every page starts with."""
    folder = tmp_path_factory.mktemp("start")
    own = ROOT / "examples" / "own_problems"
    for name in ("problems.jsonl", "candidates.jsonl", "tests.jsonl"):
        shutil.copy(own / name, folder)
    shutil.copy(own / "own_tests.yaml", folder / "job.yaml")
    shutil.copy(ROOT / "examples" / "pairs.jsonl", folder)
    for name in ("job", "other"):
        (folder / "runs" / name).mkdir(parents=True)
        write_with_states(imported, folder / "runs" / name)
    np.savez(folder / "votes.npz", **vote_arrays())
    return folder


class Reader:
    """Someone who follows a page in a folder."""

    def __init__(self, page, folder, server, capfd, monkeypatch):
        self.folder, self.server, self.capfd, self.monkeypatch = folder, server, capfd, monkeypatch
        self.names = {"__name__": "page"}
        exec(GIVEN.get(page, ""), self.names)

    def follow(self, block):
        if block.mark:
            assert block.mark in MARKS, block.place
            check = getattr(self, f"check_{block.language}", None)
        elif block.title:
            check = self.write
        else:
            check = getattr(self, f"run_{block.language}", None)
        assert check, f"{block.place}: nobody runs a block of {block.language or 'no language'}"
        check(block)

    def write(self, block):
        text = block.text.replace(SERVED, self.server.url)
        (self.folder / block.title).write_text(text, encoding="utf-8")
        if block.language == "yaml" and {"problems", "cap"} <= yaml.safe_load(text).keys():
            load_job(self.folder / block.title)
        elif block.language == "python":
            compile(text, block.place, "exec")

    def run_python(self, block):
        exec(compile(block.text, block.place, "exec"), self.names)

    def check_python(self, block):
        compile(block.text, block.place, "exec")

    def run_yaml(self, block):
        content = yaml.safe_load(block.text)
        assert content.keys() <= Job.model_fields.keys(), block.place
        base = yaml.safe_load((ROOT / "examples/own_problems/own_tests.yaml").read_text())
        check_job(base | content, self.folder, name=block.place)

    check_yaml = run_yaml

    def run_json(self, block):
        for line in block.text.splitlines():
            json.loads(line)

    def run_toml(self, block):
        tomllib.loads(block.text)

    def run_text(self, block):
        """A drawing, or what is printed by something that no block runs."""

    def run_bash(self, block):
        for words in commands(block.text):
            assert words[0] == "testbudget", f"{block.place} runs {words[0]}: mark what it needs"
            code, out, err = self.run(words)
            assert code == 0, f"{block.place}\n{out}{err}"

    def check_bash(self, block):
        for given in commands(block.text):
            words = [*itertools.dropwhile(lambda word: "=" in word, given)]
            if words[0] == "testbudget":
                app = build_app(words[1])
                app.parse_args(words[1:], exit_on_error=False, print_error=False)

    def run_console(self, block):
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            (words,) = commands(command)
            code, out, err = self.run(words)
            lines = shown.rstrip().split("\n")
            assert code == (2 if lines[-1].startswith("testbudget: ") else 0), f"{block.place}\n{out}{err}"
            pattern = "".join(
                "(?:.*\n)*" if line == "..." else f"{re.escape(line)}\n".replace(r"\.\.\.", ".*")
                for line in lines
            )
            printed = [
                "\n".join(map(str.rstrip, text.rstrip().split("\n"))) + "\n" for text in (out, out + err)
            ]
            assert any(re.fullmatch(pattern, text) for text in printed), f"{block.place}\n{printed[1]}"

    def run(self, words):
        while "=" in words[0]:
            self.monkeypatch.setenv(*words[0].split("=", 1))
            words = words[1:]
        if words[1] == "run" and "--out" not in words and "--resume" not in words:
            shutil.rmtree(self.folder / "runs" / Path(words[2]).stem, ignore_errors=True)
        code = main([word.replace(SERVED, self.server.url) for word in words[1:]])
        printed = self.capfd.readouterr()
        return code, *(text.replace(str(self.folder), "/home/ada") for text in printed)


def commands(text):
    """Words of each command of a shell script, without comments and settings of variables."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def test_no_mark_is_out_of_use():
    used = {block.mark for blocks in BLOCKS.values() for block in blocks}
    assert used - {""} == MARKS


@pytest.mark.parametrize("page", OWN_TESTS)
def test_a_page_with_a_test_file_of_its_own_is_read_there(page):
    assert Path(page).name in (ROOT / OWN_TESTS[page]).read_text()


@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_every_block_of_a_page_does_what_it_says(page, start, server, tmp_path, capfd, monkeypatch):
    folder = tmp_path / "folder"
    shutil.copytree(start, folder)
    (folder / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})  # a machine with one core has one sandbox
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    reader = Reader(page, folder, server, capfd, monkeypatch)
    for block in BLOCKS[page]:
        reader.follow(block)
    if page == "docs/bringing_your_own_data.md":
        picks = [json.loads(line) for line in (folder / "runs/job/picks.jsonl").read_text().splitlines()]
        assert [pick["candidate"] for pick in picks] == [0, 1, 0]
        metadata = picks[0]["metadata"], picks[0]["candidate_metadata"]
        assert metadata == ({"level": "easy"}, {"temperature": 0.2})


def test_every_preset_is_described():
    page = (ROOT / "docs/bringing_your_own_data.md").read_text(encoding="utf-8")
    described = page.partition("### Presets")[2].partition("## Candidates")[0]
    assert set(re.findall(r"^\| `([^`]+)` \| ", described, re.MULTILINE)) == set(FORMS)

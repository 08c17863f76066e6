"""The plug-ins of docs/extending.md, installed as distributions: short, whole, and named by commands."""

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from testbudget.rewards.plugins import PluginGroup
from tests.distributions import install

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
MAX_LINES = 40
ANSWER = """Here is a test.
```python
import unittest

class TestTimes(unittest.TestCase):
    def test_value(self):
        self.assertEqual({name}(3), {value})
```"""


class Example(NamedTuple):
    """One section of the page: a module, its entry points by group, and a module of tests."""

    module: str
    entry_points: dict[str, dict[str, str]]
    test: str

    @property
    def file(self):
        ((place,),) = (plugins.values() for plugins in self.entry_points.values())
        return f"{place.partition(':')[0]}.py"


def examples():
    """Sections of the page that hold a plug-in, by heading."""
    found = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```(python|toml)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        module, metadata, test = (text for _, text in blocks)
        entry_points = tomllib.loads(metadata)["project"]["entry-points"]
        found[section.partition("\n")[0]] = Example(module, entry_points, test)
    return found


EXAMPLES = examples()
every_example = pytest.mark.parametrize("title", EXAMPLES)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder with one distribution for each example."""
    folder = tmp_path_factory.mktemp("installed")
    for example in EXAMPLES.values():
        name = example.file.removesuffix(".py")
        install(folder, name, example.entry_points, {example.file: example.module})
    return folder


class Model(BaseHTTPRequestHandler):
    """A server that speaks as much of OpenAI's protocol as the example needs. A token is a word."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = asked.get("prompt") or asked["messages"][0]["content"]
        if len(prompt) > 100_000:
            self.send_error(400, "too long")
            return
        name, factor = next(iter(re.findall(r"def (times_(\d+))", prompt)), ("add", 1))
        words = re.findall(r"\s*\S+", ANSWER.format(name=name, value=3 * int(factor)))
        text = "".join(words[: asked["max_tokens"]])
        reason = "stop" if len(words) <= asked["max_tokens"] else "length"
        if ends := [text.find(stop) for stop in asked["stop"] if stop in text]:
            text, reason = text[: min(ends)], "stop"
        answer = {"text": text, "message": {"content": text}, "finish_reason": reason}
        body = json.dumps({"choices": [answer], "usage": {"completion_tokens": len(text.split())}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    """Address of a server with a model."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture
def python(installed, url, tmp_path):
    """A function that runs Python where the examples are installed; it must end well."""

    def run(*arguments):
        environment = os.environ | {"PYTHONPATH": f"{installed}{os.pathsep}{ROOT}", "ACME_URL": url}
        command = [sys.executable, *map(str, arguments)]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


def picks_of(run):
    return [json.loads(line) for line in (run / "picks.jsonl").read_text().splitlines()]


def test_the_page_has_an_example_of_every_group():
    groups = [group for example in EXAMPLES.values() for group in example.entry_points]
    assert sorted({*groups}) == sorted(PluginGroup)


@every_example
def test_a_plugin_takes_less_than_forty_lines(title):
    assert len(EXAMPLES[title].module.splitlines()) < MAX_LINES


@every_example
def test_a_plugin_keeps_its_contract(title, python, tmp_path):
    (tmp_path / "test_acme.py").write_text(EXAMPLES[title].test)
    printed = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme.py")
    assert "passed" in printed


def test_doctor_and_execute_take_the_language(python, tmp_path):
    assert "self-check    passed" in python("-m", "testbudget", "doctor", "--language", "rpn")
    programs = {"right": "double: x 2 *", "wrong": "double: x x *"}
    rows = [
        {"id": id, "candidate": code, "test": "3 double 6 =", "kind": "assert", "language": "rpn"}
        for id, code in programs.items()
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    python("-m", "testbudget", "execute", "--in", "pairs.jsonl", "--out", "out.jsonl", "--runners", "1")
    found = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert {row["id"]: row["verdict"] for row in found} == {"right": "passed", "wrong": "failed"}


@pytest.mark.parametrize(
    "flags", [["--policy.name", "most_doubtful"], ["--selection", "hard_tests"]], ids=lambda flags: flags[1]
)
def test_a_run_takes_the_policy_and_the_rule(flags, python, recorded, tmp_path):
    recorded.write_job(tmp_path / "job.yaml")
    python("-m", "testbudget", "run", "job.yaml", "--out", "run", *flags)
    assert len(picks_of(tmp_path / "run")) == len(recorded.problems)


def test_compare_takes_the_policy_and_the_rule(python, voted):
    flags = ["--policies", "most_doubtful", "--selection", "hard_tests", "--permutations", "3", "--json"]
    document = python("-m", "testbudget", "compare", voted, *flags)
    assert "most_doubtful" in document
    assert "hard_tests" in document


def test_a_run_takes_the_generator(python, url, recorded, tmp_path):
    model = {"name": "any/model", "generator": "server", "template": "coderm", "gpus": 0}
    job = {"tests": {"model": model | {"engine": {"url": url}}}, "cap": {"tests": 5}}
    recorded.write_job(tmp_path / "job.yaml", **job, backend="in_process")
    python("-m", "testbudget", "run", "job.yaml", "--out", "run", "--execution.runners", "1")
    picks = picks_of(tmp_path / "run")
    assert len(picks) == len(recorded.problems)
    assert all(pick["tests"] == 1 for pick in picks)


def test_a_run_takes_the_back_end(python, recorded, tmp_path, monkeypatch):
    recorded.write_job(tmp_path / "job.yaml", backend="timeline")
    monkeypatch.setenv("TIMELINE", str(tmp_path / "timeline.json"))
    python("-m", "testbudget", "run", "job.yaml", "--out", "run", "--execution.runners", "1")
    names = {event["name"] for event in json.loads((tmp_path / "timeline.json").read_text())}
    assert names == {"GenerateWork", "ExecuteWork"}
    assert len(picks_of(tmp_path / "run")) == len(recorded.problems)

"""Whole runs with one's own tests, and with models behind a server, against a real server of the test."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from testbudget.cli.main import main
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.run import resume_run, start_run
from testbudget.traces.run_info import read_run_info
from testbudget.traces.tables import read_trace
from tests.openai_server import openai_server

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "own_problems"
PAGE = (ROOT / "docs" / "served_models.md").read_text(encoding="utf-8")
KEY = "sk-secret-0123456789"
PRICES = {"prompt_tokens": 10, "completion_tokens": 40}

PROGRAMS = {
    "merge_shifts": "def merge_shifts(shifts):\n    return sorted(shifts)",
    # It fails where it finds the key, also in what its process began with.
    "shorten": "import os\ndef shorten(text, width):\n"
    "    seen = [*os.environ.values()]\n"
    "    try: seen.append(open('/proc/self/environ').read())\n"
    "    except OSError: pass\n"
    "    return '' if any('sk-sec' + 'ret' in one for one in seen) else text[:width]",
    "seat_guests": "def seat_guests(groups, table):\n    return -(-sum(groups) // table)",
}
CALLS = {
    "merge_shifts": "merge_shifts([(%d, 2000)])",
    "shorten": "shorten('x%d', 9)",
    "seat_guests": "seat_guests([1] * %d, 7)",
}
VALUES = {"merge_shifts": "[(%d, 2000)]", "shorten": "'x%d'", "seat_guests": "-(-%d // 7)"}


def write(prompt, seed):
    """An answer of a model: a test if one is asked for, else a program; another one for each seed."""
    name = next(name for name in PROGRAMS if f"def {name}" in prompt)
    if "unittest" not in prompt:
        return f"Here you are.\n```python\n{PROGRAMS[name]}  # {seed}\n```"
    number = seed % 997 + 1
    call, value = CALLS[name] % number, VALUES[name] % number
    test = "import unittest\n\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        "
    return f"```python\n{test}self.assertEqual({call}, {value})\n```"


@pytest.fixture
def server():
    with openai_server() as running:
        running.answer = write
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("SERVER_KEY", KEY)


def served(server, template, **fields):
    model = {
        "name": "tiny",
        "base_url": server.url,
        "template": template,
        "retry_seconds": 3,
        "in_flight": 4,
    }
    return model | {"api_key_env": "SERVER_KEY", "max_tokens": 128} | fields


def job_of(server, folder, **sections):
    rows = [json.loads(line) for line in (EXAMPLE / "problems.jsonl").read_text().splitlines()]
    unlabelled = [{name: row[name] for name in ("id", "entry_point", "prompt")} for row in rows]
    (folder / "unlabelled.jsonl").write_text("\n".join(map(json.dumps, unlabelled)))
    content = {
        "problems": {"source": "unlabelled.jsonl"},
        "candidates": {"from_file": str(EXAMPLE / "candidates.jsonl")},
        "tests": {"model": served(server, "coderm")},
        "policy": {"max_tests": 4, "stop_when_harmful": False},
        "execution": {"runners": 1},
        "cap": {"tests": 9},
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(content | sections))
    return path


def held_in(directory):
    """Everything that a run directory holds, as bytes; the log's compressed records too."""
    content = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    trace = read_trace(directory)
    return content + repr(trace).encode()


def test_own_tests_and_candidates_are_judged_without_a_model(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", str(EXAMPLE / "own_tests.yaml"), "--out", str(out)]) == 0, capsys.readouterr().err
    trace = read_trace(out)
    assert load_job(out / "job.yaml").backend == "in_process"
    given = [test for seen in trace.problems.values() for test in seen.tests.values()]
    assert [json.loads(test.metadata)["id"] for test in given[:3]] == ["touching", "inside", "unsorted"]
    assert {test.kind for test in given} == {
        TestKind.ASSERT,
        TestKind.PYTEST,
        TestKind.UNITTEST,
        TestKind.CHECK,
    }
    books = read_run_info(out).books["spent"]
    assert (books["tests"], books["tokens"]) == (9, 0)
    picks = [json.loads(line) for line in (out / "picks.jsonl").read_text().splitlines()]
    assert all(trace.problems[pick["problem"]].correct[pick["candidate"]] for pick in picks)

    # The run is a recording: its tests are executed again as they are.
    content = yaml.safe_load((out / "job.yaml").read_text())
    content |= {
        "tests": {"from_run": str(out)},
        "candidates": {"from_run": str(out)},
        "backend": "recorded",
    }
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(content))
    assert main(["run", str(tmp_path / "again.yaml"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "picks.jsonl").read_text() == (out / "picks.jsonl").read_text()


def test_a_served_model_writes_candidates_and_tests_and_its_key_is_nowhere(server, tmp_path, capsys):
    server.key = KEY
    failures = {2: (429, {"Retry-After": "0.02"}), 5: 500, 7: "drop"}
    server.failure = failures.get
    candidates = {"model": served(server, "chat"), "count": 2}
    out = tmp_path / "out"
    job = job_of(server, tmp_path, candidates=candidates)
    assert main(["run", str(job), "--out", str(out)]) == 0, capsys.readouterr().err
    printed = capsys.readouterr()
    trace = read_trace(out)
    assert [len(seen.candidates) for seen in trace.problems.values()] == [2, 2, 2]
    tests = [test for seen in trace.problems.values() for test in seen.tests.values()]
    assert len(tests) == 9
    assert {test.status.value for test in tests} == {"usable"}
    passed = [
        seen.verdicts[test].verdicts.tolist() for seen in trace.problems.values() for test in seen.tests
    ]
    assert passed == [[Verdict.PASSED] * 2] * 9
    assert all(20 < test.tokens <= 128 for test in tests)
    assert sum(len(seen.verdicts) for seen in trace.problems.values()) == 9
    assert main(["report", str(out), "--out", str(tmp_path / "report.html")]) == 0
    pages = (tmp_path / "report.html").read_text() + printed.out + printed.err
    assert KEY.encode() not in held_in(out)
    assert KEY not in pages
    assert "SERVER_KEY" in (out / "job.yaml").read_text()


def test_a_cap_in_dollars_is_never_passed_by_what_the_server_bills(server, tmp_path):
    server.usage = lambda number: number % 3 > 0
    server.failure = lambda number: {3: "late", 9: "drop", 11: 503}.get(number % 20)
    cap = {"usd": 0.35, "prices": {"models": {"tiny": PRICES}}}
    job = load_job(job_of(server, tmp_path, cap=cap, policy={"max_tests": 40, "stop_when_harmful": False}))
    out = start_run(job, tmp_path / "out")
    billed = (server.billed["prompt_tokens"] * 10 + server.billed["tokens"] * 40) / 1e6
    books = read_run_info(out).books
    charged = books["spent"]["usd"] + books["lost"]["usd"]
    assert 0 < billed <= charged <= 0.35
    assert books["spent"]["prompt_tokens"] >= server.billed["prompt_tokens"]
    assert books["spent"]["tests"] > 0


def test_a_cap_that_pays_for_no_test_is_refused_with_the_smallest_that_does(server, tmp_path, capsys):
    cap = {"usd": 0.001, "prices": {"models": {"tiny": PRICES}}}
    assert main(["run", str(job_of(server, tmp_path, cap=cap)), "--out", str(tmp_path / "out")]) == 2
    assert re.search(r"cap.usd must be at least 0\.\d+, the smallest that pays", capsys.readouterr().err)
    assert server.bodies == []
    assert not (tmp_path / "out").exists()


def test_a_server_that_dies_in_the_middle_ends_the_run_with_what_is_done_and_it_goes_on(
    server, tmp_path, capsys
):
    dead = []
    server.failure = lambda number: 503 if dead or number >= 4 else None
    job = job_of(
        server, tmp_path, tests={"model": served(server, "coderm", retry_seconds=0.3, in_flight=1)}
    )
    out = tmp_path / "out"
    assert main(["run", str(job), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "has not answered for" in said
    assert "can be resumed" in said
    done = len(server.bodies)
    server.failure = lambda number: None
    resume_run(out)
    tests = [test for seen in read_trace(out).problems.values() for test in seen.tests.values()]
    assert len(tests) == 9
    assert len(server.bodies) - done <= 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda server: setattr(server, "key", "another"), r"refuses the key in SERVER_KEY \(401\)"),
        (lambda server: setattr(server, "models", ["big"]), r"has no model tiny \(it serves big\)"),
    ],
)
def test_what_the_server_refuses_is_one_sentence_and_leaves_nothing(
    server, tmp_path, capsys, change, message
):
    change(server)
    assert main(["run", str(job_of(server, tmp_path)), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert re.search(message, said)
    assert KEY not in said
    assert not (tmp_path / "out").exists()


def test_a_key_that_is_not_set_is_said_before_anything_is_asked(server, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("SERVER_KEY")
    # The candidates' server needs none; the tests' one would only be asked after they are sampled.
    candidates = {"model": served(server, "chat", api_key_env=None), "count": 2}
    job = job_of(server, tmp_path, candidates=candidates)
    assert main(["run", str(job), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "tests.model.api_key_env names the variable SERVER_KEY, which is not set" in said
    assert server.bodies == []


def test_a_prompt_that_is_too_long_costs_its_problem_alone(server, tmp_path):
    server.context = 400
    long = {"id": "long", "prompt": "word " * 900, "entry_point": "long"}
    short = json.loads((EXAMPLE / "problems.jsonl").read_text().splitlines()[1])
    (tmp_path / "problems.jsonl").write_text(f"{json.dumps(long)}\n{json.dumps(short)}\n")
    rows = [{"problem": "long", "code": "def long(): pass"}]
    rows.append({"problem": short["id"], "code": PROGRAMS["shorten"]})
    (tmp_path / "candidates.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sections = {"problems": {"source": "problems.jsonl"}, "candidates": {"from_file": "candidates.jsonl"}}
    trace = read_trace(start_run(load_job(job_of(server, tmp_path, **sections)), tmp_path / "out"))
    statuses = {
        name: {test.status.value for test in seen.tests.values()} for name, seen in trace.problems.items()
    }
    assert statuses == {"long": {"unusable"}, short["id"]: {"usable"}}


OWN, SERVED, PRICED = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_first_job_of_the_page_is_the_example_and_the_last_one_has_its_prices():
    own, example = yaml.safe_load(OWN), yaml.safe_load((EXAMPLE / "own_tests.yaml").read_text())
    assert own | {"cap": example["cap"]} == example
    priced, served = yaml.safe_load(PRICED), yaml.safe_load((EXAMPLE / "served.yaml").read_text())
    assert priced["tests"]["model"].items() <= served["tests"]["model"].items()
    assert priced["cap"]["prices"] == served["cap"]["prices"]


def test_candidates_of_one_server_and_tests_of_another_run_as_the_page_says(server, tmp_path, monkeypatch):
    content = yaml.safe_load((EXAMPLE / "served.yaml").read_text())
    local = yaml.safe_load(SERVED)
    content["candidates"]["model"] = local["candidates"]["model"]  # the tests are those of a priced model
    content["cap"]["prices"]["models"]["qwen2.5-coder"] = {"prompt_tokens": 0, "completion_tokens": 0}
    for name in ("problems.jsonl", "candidates.jsonl"):
        (tmp_path / name).write_bytes((EXAMPLE / name).read_bytes())
    server.models = []
    for part in ("candidates", "tests"):
        if model := content[part].get("model"):
            monkeypatch.setenv(model.get("api_key_env", "UNUSED_KEY"), KEY)
            server.models.append(model["name"])
            model |= {
                "base_url": server.url,
                "in_flight": 2,
                "max_tokens": 128,
                "requests_per_minute": None,
            }
    if "count" in content["candidates"]:
        content["candidates"]["count"] = 2
    content["policy"] = {"max_tests": 2}
    content["problems"]["check_ground_truth"] = False
    content["execution"] = {"runners": 1}
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(content))
    out = start_run(load_job(path), tmp_path / "out")
    tests = [len(seen.tests) for seen in read_trace(out).problems.values()]
    assert tests == [2, 2, 2]


def test_importing_the_generator_does_not_load_the_client():
    code = "import sys, testbudget.executors.generation.openai; sys.exit('openai' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0

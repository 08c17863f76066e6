"""The whole job with the real vLLM: a model writes candidates and tests, sandboxes run them."""

import json
import os

import pytest
import yaml

from scheduler.cli import main
from scheduler.tables import read_trace

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        "TESTBUDGET_LIVE_MODEL" not in os.environ, reason="TESTBUDGET_LIVE_MODEL names no model"
    ),
]


@pytest.fixture
def job(tmp_path):
    model = {
        "name": os.environ.get("TESTBUDGET_LIVE_MODEL"),
        "gpus": 0,
        "engine": {"max_model_len": 1024, "enforce_eager": True},
    }
    content = {
        "problems": {"source": "humaneval", "limit": 3},
        "candidates": {"count": 4, "model": model | {"template": "completion", "max_tokens": 128}},
        "tests": {"model": model | {"template": "coderm", "max_tokens": 256}},
        "hidden_states": {"model": model["name"], "layers": [12, 24]},
        "policy": {"name": "uniform", "min_tests": 1},
        "cap": {"tests": 7, "tokens": 100_000},
        "cluster": {"num_cpus": 2},
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_three_problems_from_nothing_to_picks(job, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", str(job), "--out", str(out)]) == 0, capsys.readouterr().err
    trace = read_trace(out)
    assert [len(seen.candidates) for seen in trace.problems.values()] == [4, 4, 4]
    assert sum(len(seen.tests) for seen in trace.problems.values()) == 7
    assert all(1 <= test.tokens <= 256 for seen in trace.problems.values() for test in seen.tests.values())
    assert all(seen.correct is not None for seen in trace.problems.values())
    assert trace.hidden_states is not None
    assert trace.hidden_states.states.shape == (3, 2, 896)
    picks = [json.loads(line) for line in (out / "picks.jsonl").read_text().splitlines()]
    assert [pick["problem"] for pick in picks] == ["HumanEval/0", "HumanEval/1", "HumanEval/2"]
    assert all(pick["code"].startswith(("from typing", "\n\ndef ", "def ")) for pick in picks)

    # What was written live replays, and the same tests on the same candidates give the same picks.
    content = yaml.safe_load((out / "job.yaml").read_text())
    content |= {"candidates": {"run": str(out)}, "tests": {"run": str(out)}, "backend": "replay"}
    content |= {"hidden_states": {"run": str(out)}}
    (tmp_path / "replay.yaml").write_text(yaml.safe_dump(content))
    assert main(["run", str(tmp_path / "replay.yaml"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "picks.jsonl").read_text() == (out / "picks.jsonl").read_text()

"""The whole job with the real vLLM: a model writes candidates and tests, sandboxes run them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from testbudget.cli.main import main
from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        "TESTBUDGET_LIVE_MODEL" not in os.environ, reason="TESTBUDGET_LIVE_MODEL names no model"
    ),
]


JOB = Path(__file__).parents[2] / "examples" / "humaneval" / "live.yaml"


def test_three_problems_from_nothing_to_picks(tmp_path, capsys):
    out = tmp_path / "out"
    model = os.environ["TESTBUDGET_LIVE_MODEL"]
    names = ["candidates.model.name", "tests.model.name", "hidden-states.base-model"]
    models = [argument for name in names for argument in (f"--{name}", model)]
    models += ["--hidden-states.engine", "vllm", "--hidden-states.max-tokens", "512"]
    assert main(["run", str(JOB), "--out", str(out), *models]) == 0, capsys.readouterr().err
    trace = read_trace(out)
    assert [len(seen.candidates) for seen in trace.problems.values()] == [4, 4, 4]
    assert sum(len(seen.tests) for seen in trace.problems.values()) == 7
    assert all(1 <= test.tokens <= 256 for seen in trace.problems.values() for test in seen.tests.values())
    assert all(seen.correct is not None for seen in trace.problems.values())
    assert trace.hidden_states is not None
    assert trace.hidden_states.states.shape == (3, 2, 896)
    assert trace.hidden_states.provenance.engine == "vllm"
    assert all(seen.extraction.cpu_seconds > 0 for seen in trace.problems.values())
    prompts = [problem.prompt for problem in load_problems("humaneval", limit=3)]
    reference = TransformersExtractor(model).extract(prompts, trace.hidden_states.layers)
    assert reference.provenance.conflict(trace.hidden_states.provenance) is None
    np.testing.assert_allclose(trace.hidden_states.states, reference.states, rtol=0.1, atol=1.0)
    picks = [json.loads(line) for line in (out / "picks.jsonl").read_text().splitlines()]
    assert [pick["problem"] for pick in picks] == ["HumanEval/0", "HumanEval/1", "HumanEval/2"]
    assert all(pick["code"].startswith(("from typing", "\n\ndef ", "def ")) for pick in picks)

    # The run can be replayed, and the same tests on the same candidates give the same picks.
    content = yaml.safe_load((out / "job.yaml").read_text())
    content |= {section: {"from_run": str(out)} for section in ("candidates", "tests", "hidden_states")}
    content |= {"backend": "recorded"}
    (tmp_path / "replay.yaml").write_text(yaml.safe_dump(content))
    assert main(["run", str(tmp_path / "replay.yaml"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "picks.jsonl").read_text() == (out / "picks.jsonl").read_text()

"""Confidence models fitted on finished runs and stored with the run that uses them."""

import json
from dataclasses import replace

import pytest

from testbudget.cli.main import main
from testbudget.rewards.errors import UserError
from testbudget.scheduler.fitting.confidence import confidence_models_of
from testbudget.traces.tables import read_trace, write_trace


def test_confidence_models_may_be_fitted_on_the_run_that_is_read(recorded, tmp_path):
    confidence = {"fit_from": [str(recorded.directory)]}
    path = recorded.write_job(tmp_path / "job.yaml", cap={"tests": 40}, confidence=confidence)
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 0
    picks = [json.loads(line) for line in (tmp_path / "out" / "picks.jsonl").read_text().splitlines()]
    assert all(0 < pick["p_correct"] < 1 for pick in picks)


def test_a_run_without_labels_is_refused_before_anything_starts(recorded, tmp_path, capsys):
    trace = read_trace(recorded.directory)
    unlabelled = tmp_path / "unlabelled"
    unlabelled.mkdir()
    problems = {problem: replace(seen, correct=None) for problem, seen in trace.problems.items()}
    write_trace(replace(trace, directory=unlabelled, problems=problems))
    path = recorded.write_job(tmp_path / "job.yaml", confidence={"fit_from": [str(unlabelled)]})
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert (
        "must have labels to fit confidence models but problem times/2 has none" in capsys.readouterr().err
    )
    assert not (tmp_path / "out" / "picks.jsonl").exists()


def test_damaged_confidence_models_are_refused(tmp_path):
    (tmp_path / "confidence.json").write_text('{"source": "here"}')
    with pytest.raises(UserError, match="cannot be read"):
        confidence_models_of(tmp_path)

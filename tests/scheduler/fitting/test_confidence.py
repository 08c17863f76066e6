"""Confidence models fitted on finished runs and stored with the run that uses them."""

import json
from dataclasses import replace

import pytest

from testbudget.cli.main import main
from testbudget.rewards.errors import UserError
from testbudget.scheduler.fitting.confidence import confidence_models_for, confidence_models_of
from testbudget.scheduler.job_file import load_job
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


def test_models_are_fitted_once_for_a_run_and_for_the_next_that_names_it(recorded, tmp_path):
    def refused(_):
        raise AssertionError("nothing is to be fitted")

    def job_of(source):
        path = recorded.write_job(tmp_path / "job.yaml", confidence={"fit_from": [str(source)]})
        return load_job(path)

    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    fitted = confidence_models_for(job_of(recorded.directory), read_trace, one)
    resumed = confidence_models_for(job_of(recorded.directory), refused, one)
    taken_over = confidence_models_for(job_of(one), refused, two)
    assert fitted.as_json() == resumed.as_json() == taken_over.as_json()
    assert (one / "confidence.json").read_text() == (two / "confidence.json").read_text()


def test_models_fitted_for_another_rule_are_not_taken_over(recorded, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    path = recorded.write_job(tmp_path / "job.yaml", confidence={"fit_from": [str(recorded.directory)]})
    job = load_job(path)
    confidence_models_for(job, read_trace, one)
    later = job.model_copy(
        update={
            "selection": "consensus",
            "confidence": job.confidence.model_copy(update={"fit_from": [one]}),
        }
    )
    with pytest.raises(UserError, match="one"):  # it is no run, so no models can be fitted on it
        confidence_models_for(later, read_trace, two)

import json
from dataclasses import replace

import pytest

from testbudget.analysis.summary import summarise
from testbudget.cli.main import main
from testbudget.rewards.errors import UserError
from testbudget.scheduler.fitting.confidence import confidence_models_of
from testbudget.scheduler.job_file import load_job
from testbudget.traces.tables import read_trace, write_trace


def picked(recorded, tmp_path, name="out", **fields):
    path = recorded.write_job(tmp_path / f"{name}.yaml", cap={"tests": 40}, **fields)
    assert main(["run", str(path), "--out", str(tmp_path / name)]) == 0
    return [json.loads(line) for line in (tmp_path / name / "picks.jsonl").read_text().splitlines()]


def test_every_pick_has_a_p_correct_and_a_reason_for_being_closed(recorded, tmp_path):
    picks = picked(recorded, tmp_path)
    assert all(0 < pick["p_correct"] < 1 for pick in picks)
    assert not any(pick["abstained"] for pick in picks)
    assert all(pick["closed_because"] == "cap" for pick in picks)
    summary = summarise(tmp_path / "out")
    assert [round(problem.p_correct, 4) for problem in summary.problems] == [
        pick["p_correct"] for pick in picks
    ]


def test_unsure_picks_are_marked_and_still_named(recorded, tmp_path):
    sure = picked(recorded, tmp_path)
    bar = sum(sorted(pick["p_correct"] for pick in sure)[1:3]) / 2  # apart from all rounded ones
    marked = picked(recorded, tmp_path, "barred", confidence={"abstain_below": bar})
    assert [pick["abstained"] for pick in marked] == [pick["p_correct"] < bar for pick in sure]
    assert [pick["candidate"] for pick in marked] == [pick["candidate"] for pick in sure]
    summary = summarise(tmp_path / "barred")
    assert summary.coverage == sum(not pick["abstained"] for pick in marked) / len(marked)
    assert summary.covered_accuracy == 1


def test_a_run_that_abstains_everywhere_has_no_accuracy_left(recorded, tmp_path):
    picks = picked(recorded, tmp_path, confidence={"abstain_below": 1})
    assert all(pick["abstained"] for pick in picks)
    assert summarise(tmp_path / "out").coverage == 0
    assert summarise(tmp_path / "out").covered_accuracy is None


def test_fitted_confidence_models_are_stored_with_the_run_that_uses_them(recorded, learnable, tmp_path):
    picks = picked(recorded, tmp_path, confidence={"fit_from": [str(learnable.directory)]})
    assert str(learnable.directory) in confidence_models_of(tmp_path / "out").source
    assert picks != picked(recorded, tmp_path, "shipped")
    summary = summarise(tmp_path / "out")
    assert summary.confidence_source == confidence_models_of(tmp_path / "out").source
    assert [round(problem.p_correct, 4) for problem in summary.problems] == [
        pick["p_correct"] for pick in picks
    ]


def test_confidence_models_may_be_fitted_on_the_run_that_is_read(recorded, tmp_path):
    picks = picked(recorded, tmp_path, confidence={"fit_from": [str(recorded.directory)]})
    assert all(0 < pick["p_correct"] < 1 for pick in picks)


def test_a_run_without_labels_is_refused_before_anything_starts(recorded, tmp_path, capsys):
    trace = read_trace(recorded.directory)
    blind = tmp_path / "blind"
    blind.mkdir()
    problems = {problem: replace(seen, correct=None) for problem, seen in trace.problems.items()}
    write_trace(replace(trace, directory=blind, problems=problems))
    path = recorded.write_job(tmp_path / "job.yaml", confidence={"fit_from": [str(blind)]})
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert (
        "must have labels to fit confidence models but problem times/2 has none" in capsys.readouterr().err
    )
    assert not (tmp_path / "out" / "picks.jsonl").exists()


def test_damaged_confidence_models_are_refused(tmp_path):
    (tmp_path / "confidence.json").write_text('{"source": "here"}')
    with pytest.raises(UserError, match="cannot be read"):
        confidence_models_of(tmp_path)


def test_paths_of_runs_to_fit_confidence_on_are_relative_to_the_job(recorded, tmp_path):
    path = recorded.write_job(tmp_path / "job.yaml", confidence={"fit_from": ["earlier"]})
    assert load_job(path).confidence.fit_from == [tmp_path / "earlier"]

import json
from dataclasses import replace

import numpy as np
import pytest

from testbudget.cli.main import main
from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.errors import UserError
from testbudget.scheduler.fitting.gain_models import check_gain_model_run, gain_models_for
from testbudget.scheduler.job_file import load_job
from testbudget.traces.tables import read_trace, write_trace


def job_of(recorded, folder, **policy):
    run = str(recorded.directory)
    return recorded.write_job(folder / "job.yaml", policy={"gain_model_from": run, **policy})


def test_a_problem_of_the_run_itself_is_allocated_by_what_others_taught(recorded, tmp_path):
    job = load_job(job_of(recorded, tmp_path, name="adaptive"))
    gain_models = gain_models_for(job, recorded.problems, default_models(), read_trace)
    whole = len(gain_models.gain_models) - 1
    assert whole not in gain_models.gain_model_of
    assert len(np.unique(gain_models.gain_model_of)) > 1


def test_an_adaptive_run_spends_its_cap(recorded, tmp_path):
    path = job_of(recorded, tmp_path, name="adaptive")
    assert main(["run", str(path), "--cap.tests", "14", "--out", str(tmp_path / "out")]) == 0
    tests = [len(seen.tests) for seen in read_trace(tmp_path / "out").problems.values()]
    assert sum(tests) == 14
    picks = (tmp_path / "out" / "picks.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in picks]) == len(recorded.problems)


def test_a_run_without_labels_is_refused_before_anything_is_spent(recorded, tmp_path, capsys):
    trace = read_trace(recorded.directory)
    unlabelled = tmp_path / "unlabelled"
    unlabelled.mkdir()
    problems = {name: replace(seen, correct=None) for name, seen in trace.problems.items()}
    write_trace(replace(trace, directory=unlabelled, problems=problems))
    path = job_of(recorded, tmp_path, name="adaptive", gain_model_from=str(unlabelled))
    with pytest.raises(UserError, match="must say which candidates are right"):
        check_gain_model_run(load_job(path), read_trace)
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()

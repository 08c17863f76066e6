import json
from dataclasses import replace

import numpy as np
import pytest

from rewards.confidence import SHIPPED
from rewards.errors import UserError
from scheduler.cli import main
from scheduler.job_file import load_job
from scheduler.lessons.of_job import check_lessons, lessons_for
from scheduler.tables import read_trace, write_trace


def job_of(recorded, folder, **policy):
    run = str(recorded.directory)
    return recorded.write_job(folder / "job.yaml", policy={"train_on": run, **policy})


def test_a_problem_of_the_run_itself_is_allocated_by_what_others_taught(recorded, tmp_path):
    job = load_job(job_of(recorded, tmp_path, name="adaptive"))
    lessons = lessons_for(job, recorded.problems, SHIPPED, read_trace)
    whole = len(lessons.lessons) - 1
    assert whole not in lessons.lesson_of
    assert len(np.unique(lessons.lesson_of)) > 1


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
    path = job_of(recorded, tmp_path, name="adaptive", train_on=str(unlabelled))
    with pytest.raises(UserError, match="must say which candidates are right"):
        check_lessons(load_job(path), read_trace)
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()

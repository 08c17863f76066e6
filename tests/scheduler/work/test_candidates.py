"""Candidates of a run: from a run or a file at once, or from the policy model piece by piece."""

import json

import numpy as np
import pytest

from testbudget.executors.generation.base import Completion
from testbudget.executors.generation.extraction.candidates import ExtractionRule
from testbudget.executors.generation.prompts import prompt_template
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import NO_PROGRAM
from testbudget.scheduler.backends.base import GenerationDone
from testbudget.scheduler.core.events import Sample, WorkerKind
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.work.candidates import CandidateGenerator, CandidateSampling, recorded_candidates
from testbudget.scheduler.work.open_work import work_key
from testbudget.traces.tables import read_trace

from .manual_backend import PIECE

BOTH = Sample(np.array([0, 1]), np.array([0, 1]))


def test_the_first_candidates_of_a_run_are_taken(recorded, tmp_path, trace):
    candidates = {"from_run": str(recorded.directory), "count": 3}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", candidates=candidates))
    found = recorded_candidates(job, recorded.problems, read_trace)
    for problem in recorded.problems:
        assert list(found[problem.id]) == list(trace.problem(problem).candidates[:3])


def test_candidates_of_a_file_are_taken_in_its_order_and_other_problems_are_told(
    recorded, tmp_path, caplog
):
    lines = [
        {"problem": problem.id, "code": f"    return {text}\n"}
        for text in ("x", "1")
        for problem in recorded.problems
    ]
    lines.append({"problem": "another", "code": "x"})
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    job = load_job(
        recorded.write_job(tmp_path / "job.yaml", candidates={"from_file": "own.jsonl"}, backend="ray")
    )
    found = recorded_candidates(job, recorded.problems, read_trace)
    assert set(found) == {problem.id for problem in recorded.problems}
    for records in found.values():
        assert [record.text.strip() for record in records] == ["return x", "return 1"]
    assert "problem 'another' is not among the problems, so its candidates are left out (1)" in caplog.text


def test_answers_in_a_file_are_read_and_other_fields_are_kept(recorded, tmp_path):
    name = recorded.problems[0].entry_point
    rows = [
        {
            "task_id": problem.id,
            "output": f"Sure:\n```python\ndef {name}(x):\n    return 1\n```",
            "model": "m",
        }
        for problem in recorded.problems
    ] + [{"task_id": recorded.problems[0].id, "output": "I cannot."}]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = load_job(
        recorded.write_job(tmp_path / "job.yaml", candidates={"from_file": "own.jsonl"}, backend="ray")
    )
    found = recorded_candidates(job, recorded.problems, read_trace)
    first, second = found[recorded.problems[0].id]
    assert first.text == f"def {name}(x):\n    return 1\n"
    assert (json.loads(first.metadata), second.metadata) == ({"model": "m"}, "")
    assert (first.has_program, second.has_program) == (True, False)


def test_a_problem_without_candidates_is_refused(recorded, tmp_path):
    file = tmp_path / "own.jsonl"
    job = load_job(
        recorded.write_job(tmp_path / "job.yaml", candidates={"from_file": "own.jsonl"}, backend="ray")
    )
    file.write_text("")
    with pytest.raises(UserError, match=r"own\.jsonl must hold candidates of the problems but it is empty"):
        recorded_candidates(job, recorded.problems, read_trace)
    file.write_text(json.dumps({"problem": recorded.problems[0].id, "code": "x"}))
    with pytest.raises(UserError, match="every problem must have candidates but problem times/3 has none"):
        recorded_candidates(job, recorded.problems, read_trace)


def test_recorded_candidates_of_all_problems_are_one_event(recorded, problems, open_work, trace, backend):
    recorded_ = {problem.id: tuple(trace.problem(problem).candidates) for problem in recorded.problems}
    (answer,) = CandidateSampling(problems, open_work, recorded_, None).sample(BOTH)
    assert answer.event.tasks.tolist() == [0, 1]
    assert answer.event.programs.tolist() == [4, 4]  # two of the five are the same program
    assert [record.problem for record in answer.records] == ["times/2", "times/3"]
    assert backend.submitted == []


@pytest.fixture
def sampling(problems, open_work):
    generator = CandidateGenerator(prompt_template("completion"), 20, ExtractionRule.LAST, 0)
    return CandidateSampling(problems, open_work, None, generator)


def answered(work, open_work, sampling):
    completions = [Completion(f"    return {r.index % 3}\n", 5, 0.5, "stop") for r in work.requests]
    task = open_work.take(work_key(work))
    return sampling.done(GenerationDone(work, completions, PIECE), task)


def test_a_problem_is_sampled_once_all_its_pieces_are_there(sampling, open_work, backend):
    assert sampling.sample(BOTH) == []
    assert [len(work.requests) for work in backend.submitted] == [8, 8, 4] * 2
    assert {work.model for work in backend.submitted} == {WorkerKind.POLICY_MODEL}
    last, first, middle = (backend.submitted[at] for at in (2, 0, 1))
    assert answered(last, open_work, sampling) == answered(first, open_work, sampling) == []
    (answer,) = answered(middle, open_work, sampling)
    assert answer.event.tasks.tolist() == [0]
    assert answer.event.programs.tolist() == [3]
    (record,) = answer.records
    assert [one.text.strip() for one in record.candidates] == [f"return {at % 3}" for at in range(20)]
    assert record.piece == PIECE


def test_answers_without_a_program_are_marked_and_are_one_program(sampling, open_work, backend):
    sampling.sample(BOTH)
    for work in backend.submitted[:3]:
        texts = {0: "    return 1\n", 1: "", 2: "    # to do\n"}
        done = [Completion(texts[r.index % 3], 5, 0.5, "stop") for r in work.requests]
        answers = sampling.done(GenerationDone(work, done, PIECE), open_work.take(work_key(work)))
    (answer,) = answers
    assert answer.event.programs.tolist() == [2]
    (record,) = answer.records
    assert [one.has_program for one in record.candidates] == [at % 3 == 0 for at in range(20)]
    assert record.candidates[1].notes == (NO_PROGRAM,)


def test_a_lost_piece_is_sampled_again_alone_with_the_same_seeds(sampling, open_work, backend):
    sampling.sample(BOTH)
    answered(backend.submitted[0], open_work, sampling)
    lost = backend.submitted[1]
    open_work.take(work_key(lost))
    sampling.sample(Sample(np.array([0]), np.array([0])))
    assert backend.submitted[6:] == [lost]

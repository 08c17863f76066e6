"""Candidates and labels of a run that come from another run or from a file."""

import json

import pytest

from testbudget.rewards.errors import UserError
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.job_file import load_job
from testbudget.scheduler.preparation.candidates import take_candidates
from testbudget.scheduler.preparation.labels import take_labels
from testbudget.traces.records import ProblemCandidates
from testbudget.traces.tables import read_trace


@pytest.fixture
def event_log(tmp_path):
    with EventLog(tmp_path / "log.sqlite") as opened:
        yield opened


def test_the_first_candidates_of_a_run_are_taken_once_with_their_labels(recorded, tmp_path, event_log):
    candidates = {"from_run": str(recorded.directory), "count": 3}
    job = load_job(recorded.write_job(tmp_path / "job.yaml", candidates=candidates))
    trace = read_trace(recorded.directory)
    for _ in range(2):
        take_candidates(job, recorded.problems, event_log, read_trace)
        items = [ProblemCandidates.of(p, event_log.candidates_of(p.id)) for p in recorded.problems]
        take_labels(job, items, event_log, read_trace)
    for problem in recorded.problems:
        seen = trace.problem(problem)
        assert event_log.candidates_of(problem.id) == list(seen.candidates[:3])
        assert event_log.labels[problem.id].tolist() == seen.correct[:3].tolist()


def test_candidates_of_a_file_are_taken_in_its_order_and_other_problems_are_ignored(
    recorded, tmp_path, event_log
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
    take_candidates(job, recorded.problems, event_log, read_trace)
    assert set(event_log.candidates) == {problem.id for problem in recorded.problems}
    for problem in recorded.problems:
        texts = [record.text for record in event_log.candidates_of(problem.id)]
        assert [text.strip() for text in texts] == ["return x", "return 1"]


def test_a_problem_without_candidates_is_refused(recorded, tmp_path, event_log):
    (tmp_path / "own.jsonl").write_text("")
    job = load_job(
        recorded.write_job(tmp_path / "job.yaml", candidates={"from_file": "own.jsonl"}, backend="ray")
    )
    with pytest.raises(UserError, match="every problem must have candidates but problem times/2 has none"):
        take_candidates(job, recorded.problems, event_log, read_trace)
    assert not any(event_log.candidates.values())

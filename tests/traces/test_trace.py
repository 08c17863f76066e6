"""Texts of a run's problems: its own, or those of their source."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from testbudget.rewards.errors import UserError
from testbudget.traces.tables import read_trace, write_trace

TEXTS = ["prompt", "entry_point", "language", "ground_truth", "comparison", "metadata"]


def with_texts(recorded, directory, problems=None, source="moved.jsonl"):
    """The recorded run written again with the texts of some problems, read from its directory."""
    trace = read_trace(recorded.directory)
    texts = {problem.id: problem for problem in recorded.problems[:problems]}
    seen = {problem: replace(one, problem=texts.get(problem)) for problem, one in trace.problems.items()}
    write_trace(replace(trace, directory=directory, problems=seen, problem_source=source))
    return read_trace(directory)


def test_a_run_holds_the_texts_of_its_problems_when_their_source_has_moved(recorded, tmp_path):
    trace = with_texts(recorded, tmp_path)
    assert trace.texts() == recorded.problems
    for problem in trace.texts():
        assert trace.problem(problem).problem == problem


def test_the_texts_of_a_run_that_was_shared_without_them_are_read_from_their_source(recorded, tmp_path):
    with_texts(recorded, tmp_path, source=str(recorded.problems_file))
    path = tmp_path / "problems.parquet"
    pq.write_table(pq.read_table(path).drop_columns(TEXTS), path)
    trace = read_trace(tmp_path)
    assert all(seen.problem is None for seen in trace.problems.values())
    assert trace.texts() == recorded.problems


def test_texts_of_some_problems_are_not_enough(recorded, tmp_path):
    trace = with_texts(recorded, tmp_path, problems=2)
    assert [seen.problem for seen in trace.problems.values()] == [*recorded.problems[:2], None, None, None]
    with pytest.raises(UserError, match=r"moved\.jsonl cannot be read"):
        trace.texts()
    with pytest.raises(UserError, match="must hold the texts of its problems or name their source"):
        replace(trace, problem_source=None).texts()


def test_a_source_with_another_text_is_refused(recorded, tmp_path):
    changed = tmp_path / "changed.jsonl"
    changed.write_text(recorded.problems_file.read_text().replace("times 4", "times four"))
    trace = with_texts(recorded, tmp_path, problems=0, source=str(changed))
    with pytest.raises(UserError, match="same text of problem times/4"):
        trace.texts()

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import NO_PROGRAM
from testbudget.traces.hidden_states import HiddenStates
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import Cost
from testbudget.traces.tables import SCHEMA_VERSION, read_trace, write_trace
from testbudget.traces.trace import correct_labels


def test_a_trace_survives_writing_and_reading(recorded, tmp_path):
    trace = read_trace(recorded.directory)
    write_trace(replace(trace, directory=tmp_path))
    again = read_trace(tmp_path)
    assert list(again.problems) == list(trace.problems)
    np.testing.assert_array_equal(again.hidden_states.states, trace.hidden_states.states)
    assert again.hidden_states.layers == (2, 4)
    assert again.hidden_states.truncated.tolist() == [False, True, False, False, False]
    assert again.hidden_states.provenance == trace.hidden_states.provenance
    assert again.hidden_states.provenance.model == "policy-model"
    for problem, seen in trace.problems.items():
        other = again.problems[problem]
        assert other.candidates == seen.candidates
        assert other.tests == seen.tests
        assert other.extraction == seen.extraction == Cost(cpu_seconds=0.125)
        assert other.correct.tolist() == seen.correct.tolist()
        assert sorted(other.verdicts) == sorted(seen.verdicts)
        for index, record in seen.verdicts.items():
            np.testing.assert_array_equal(other.verdicts[index].verdicts, record.verdicts)
            np.testing.assert_allclose(other.verdicts[index].cpu_seconds, record.cpu_seconds)
            np.testing.assert_array_equal(other.verdicts[index].same_process, record.same_process)
            assert other.verdicts[index].input_mutations == record.input_mutations


def test_notes_of_candidates_survive_and_may_be_missing(recorded, tmp_path):
    trace = read_trace(recorded.directory)
    marked = {
        problem: replace(seen, candidates=[replace(one, notes=(NO_PROGRAM,)) for one in seen.candidates])
        for problem, seen in trace.problems.items()
    }
    write_trace(replace(trace, directory=tmp_path, problems=marked))
    again = read_trace(tmp_path)
    assert not any(one.has_program for seen in again.problems.values() for one in seen.candidates)
    table = pq.read_table(tmp_path / "candidates.parquet")
    pq.write_table(table.drop_columns(["notes"]), tmp_path / "candidates.parquet")
    assert all(
        one.notes == () for seen in read_trace(tmp_path).problems.values() for one in seen.candidates
    )


def test_a_run_written_without_texts_holds_none(recorded):
    for table in ("problems", "candidates", "votes"):
        content = pq.read_table(recorded.directory / f"{table}.parquet").to_pylist()
        assert not any("Returns x times" in str(row) for row in content)


def test_hidden_states_come_in_the_order_and_layers_asked_for(recorded):
    trace = read_trace(recorded.directory)
    states = trace.hidden_states_of(recorded.problems[::-1], [4])
    np.testing.assert_array_equal(states.states[:, 0], trace.hidden_states.states[::-1, 1])
    with pytest.raises(UserError, match="must hold hidden layers 3 but has 2, 4"):
        trace.hidden_states_of(recorded.problems, [3])


def test_unknown_provenance_truncation_and_costs_are_read_as_unknown(recorded, tmp_path):
    trace = read_trace(recorded.directory)
    unknown = Cost(cpu_seconds=float("nan"))
    problems = {problem: replace(seen, extraction=unknown) for problem, seen in trace.problems.items()}
    states = HiddenStates(trace.hidden_states.layers, trace.hidden_states.states)
    write_trace(replace(trace, directory=tmp_path, problems=problems, hidden_states=states))
    again = read_trace(tmp_path)
    np.testing.assert_array_equal(again.hidden_states.states, trace.hidden_states.states)
    assert again.hidden_states.truncated is None
    assert again.hidden_states.provenance is None
    for seen in again.problems.values():
        assert np.isnan(seen.extraction.cpu_seconds)
        assert seen.extraction.gpu_seconds == 0


@pytest.mark.parametrize("table", ["problems", "candidates", "tests", "votes"])
@pytest.mark.parametrize("version", [None, SCHEMA_VERSION + 1])
def test_a_table_of_another_schema_version_is_refused_with_the_command_to_make_it_again(
    recorded, tmp_path, table, version
):
    write_trace(replace(read_trace(recorded.directory), directory=tmp_path))
    path = tmp_path / f"{table}.parquet"
    metadata = None if version is None else {b"testbudget.schema": str(version)}
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    with pytest.raises(UserError) as caught:
        read_trace(tmp_path)
    assert str(caught.value).startswith(
        f"{path} has schema {version or 0} but this testbudget reads {SCHEMA_VERSION}. Run its job again: "
        f"testbudget run {tmp_path / 'job.yaml'} --out DIR"
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "read"),
    [
        (None, None),
        ("humaneval", "humaneval"),
        ("problems.jsonl", "{run}/problems.jsonl"),
        ("mbpp:mbpp.jsonl", "mbpp:{run}/mbpp.jsonl"),
        ("/elsewhere/problems.jsonl", "/elsewhere/problems.jsonl"),
    ],
)
def test_the_source_of_problems_is_kept_and_relative_to_the_run(recorded, tmp_path, source, read):
    write_trace(replace(read_trace(recorded.directory), directory=tmp_path, problem_source=source))
    assert read_trace(tmp_path).problem_source == (read and read.format(run=tmp_path.resolve()))


@pytest.mark.parametrize(("run", "source"), [("humaneval", "humaneval"), ("mbpp", "mbpp_sanitized.jsonl")])
def test_the_shipped_recordings_are_of_this_schema_version(run, source):
    directory = Path(__file__).parents[2] / "examples" / run
    trace = read_trace(directory)
    assert trace.problem_source.endswith(source)
    assert read_outputs(directory).keys() == trace.problems.keys()


def test_labels_are_those_of_all_problems_or_the_first_without_any_is_named(recorded):
    trace = read_trace(recorded.directory)
    np.testing.assert_array_equal(correct_labels(trace), [seen.correct for seen in trace.problems.values()])
    problems = {**trace.problems, "times/4": replace(trace.problems["times/4"], correct=None)}
    with pytest.raises(UserError, match="must say which candidates are correct but not of times/4"):
        correct_labels(replace(trace, problems=problems))


def test_hidden_states_cost_nothing_if_there_are_none(recorded, tmp_path):
    write_trace(replace(read_trace(recorded.directory), directory=tmp_path, hidden_states=None))
    again = read_trace(tmp_path)
    assert again.hidden_states is None
    assert all(seen.extraction == Cost() for seen in again.problems.values())


def test_a_problem_whose_text_changed_is_refused(recorded):
    trace = read_trace(recorded.directory)
    with pytest.raises(UserError, match="same text of problem times/2"):
        trace.problem(replace(recorded.problems[0], prompt="def times_2(x):\n"))
    with pytest.raises(UserError, match="must hold problem other but it does not"):
        trace.problem(replace(recorded.problems[0], id="other"))


@pytest.mark.parametrize("damage", ["missing", "garbage", "column"])
def test_a_damaged_run_is_refused_in_one_sentence(recorded, tmp_path, damage):
    write_trace(replace(read_trace(recorded.directory), directory=tmp_path))
    path = tmp_path / "tests.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "garbage":
        path.write_bytes(b"PAR1 but not really")
    else:
        pq.write_table(pq.read_table(path).drop_columns(["status"]), path)
    with pytest.raises(UserError, match="must") as caught:
        read_trace(tmp_path)
    assert "\n" not in str(caught.value)

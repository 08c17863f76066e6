"""Tables of a run written in parts: they are read as those that were written at once."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from testbudget.testing.log_entries import same
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import Trace
from testbudget.traces.trace_writer import TraceWriter


def parts_of(trace):
    """The trace problem by problem."""
    for row, (problem, seen) in enumerate(trace.problems.items()):
        states = trace.hidden_states.of_problems([row])
        yield Trace(trace.directory, {problem: seen}, states, trace.problem_source)


def test_a_run_written_in_parts_is_read_as_a_whole(recorded, tmp_path):
    trace, outputs = read_trace(recorded.directory), read_outputs(recorded.directory)
    with TraceWriter(tmp_path) as writer:
        for part in parts_of(trace):
            writer.add(part, {one: outputs[one] for one in part.problems if one in outputs}, {})
    again = read_trace(tmp_path)
    assert list(again.problems) == list(trace.problems)
    assert same(dict(again.problems), dict(trace.problems))
    assert same(dict(read_outputs(tmp_path)), dict(outputs))
    np.testing.assert_array_equal(again.hidden_states.states, trace.hidden_states.states)
    groups = {
        path.stem: pq.ParquetFile(path).metadata.num_row_groups for path in tmp_path.glob("*.parquet")
    }
    assert groups["tests"] == len(trace.problems)
    assert "reasons" not in groups


def test_a_writer_that_fails_leaves_the_tables_of_before(recorded, tmp_path):
    trace = read_trace(recorded.directory)
    with TraceWriter(tmp_path) as writer:
        writer.add(trace, {}, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ZeroDivisionError), TraceWriter(tmp_path) as writer:
        writer.add(next(parts_of(trace)), {}, {})
        raise ZeroDivisionError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

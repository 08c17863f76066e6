import numpy as np
import pyarrow.parquet as pq
import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import (
    NO_RESULT,
    CallEnding,
    CallResult,
    RecordedCall,
    RecordedOutputs,
)
from testbudget.traces.output_tables import pack_outputs, read_outputs, unpack_outputs, write_outputs

LARGEST = 2**64 - 1


def recorded_outputs_of(test: int, candidates: int = 3) -> RecordedOutputs:
    inputs = (RecordedCall(test, "f", '[[1, "é"], {}]', LARGEST), RecordedCall(test, "g", "[[], {}]", test))
    outputs = (
        CallResult(CallEnding.RETURNED, test, "'é\\n'"),
        CallResult(CallEnding.RAISED, LARGEST, "ValueError"),
        CallResult(CallEnding.TIMED_OUT, 0, ""),
    )
    results = np.array([[0, 1], [2, NO_RESULT], [0, 0]], np.int32)
    return RecordedOutputs(inputs, outputs, results[:candidates])


def same(one: RecordedOutputs, other: RecordedOutputs) -> bool:
    return (one.inputs, one.outputs, one.results.tolist()) == (
        other.inputs,
        other.outputs,
        other.results.tolist(),
    )


def test_packed_outputs_survive_unpacking():
    again = unpack_outputs(pack_outputs(recorded_outputs_of(7)))
    assert same(again, recorded_outputs_of(7))
    assert again.results.dtype == np.int32


def test_tables_keep_problems_of_different_sizes_and_inputs_without_a_test(tmp_path):
    alone = RecordedOutputs(
        (RecordedCall(None, "f", "[[2], {}]", 2),),
        (CallResult(CallEnding.OPAQUE, 0, "<f>"),),
        np.zeros((1, 1), np.int32),
    )
    outputs_by_problem = {
        "b": recorded_outputs_of(0),
        "a": recorded_outputs_of(5, candidates=2),
        "c": alone,
    }
    write_outputs(outputs_by_problem.items(), tmp_path)
    again = read_outputs(tmp_path)
    assert list(again) == ["b", "a", "c"]
    assert all(
        same(again[problem], recorded_outputs) for problem, recorded_outputs in outputs_by_problem.items()
    )


def test_half_a_surrogate_pair_in_an_example_can_be_packed_and_written(tmp_path):
    odd = RecordedOutputs(
        (RecordedCall(0, "f", "[]", 1),),
        (CallResult(CallEnding.RETURNED, 1, "\ud800"),),
        np.zeros((1, 1), np.int32),
    )
    assert same(unpack_outputs(pack_outputs(odd)), odd)
    write_outputs([("p", odd)], tmp_path)
    assert read_outputs(tmp_path)["p"].outputs == (CallResult(CallEnding.RETURNED, 1, "?"),)


def test_a_run_without_recorded_outputs_has_no_tables_and_nothing_to_read(tmp_path):
    write_outputs([("p", recorded_outputs_of(0))], tmp_path)
    write_outputs([], tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_outputs(tmp_path) == {}


def test_a_table_without_a_column_is_refused(recorded, tmp_path):
    write_outputs([("p", recorded_outputs_of(0))], tmp_path)
    path = tmp_path / "inputs.parquet"  # one of the three
    pq.write_table(pq.read_table(path).drop_columns(["results"]), path)
    with pytest.raises(UserError, match="must have the columns of a run but lacks results"):
        read_outputs(tmp_path)

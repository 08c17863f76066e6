import numpy as np
import pyarrow.parquet as pq
import pytest

from rewards.behaviour import NO_RESULT, Behaviour, Ending, Input, Output, join
from rewards.errors import UserError
from scheduler.behaviours import pack, read_behaviours, unpack, write_behaviours
from scheduler.journal import Journal

LARGEST = 2**64 - 1


def behaviour_of(test: int, candidates: int = 3) -> Behaviour:
    inputs = (Input(test, "f", '[[1, "é"], {}]', LARGEST), Input(test, "g", "[[], {}]", test))
    outputs = (
        Output(Ending.RETURNED, test, "'é\\n'"),
        Output(Ending.RAISED, LARGEST, "ValueError"),
        Output(Ending.TIMED_OUT, 0, ""),
    )
    results = np.array([[0, 1], [2, NO_RESULT], [0, 0]], np.int32)
    return Behaviour(inputs, outputs, results[:candidates])


def same(one: Behaviour, other: Behaviour) -> bool:
    return (one.inputs, one.outputs, one.results.tolist()) == (
        other.inputs,
        other.outputs,
        other.results.tolist(),
    )


def test_what_was_packed_is_unpacked():
    again = unpack(pack(behaviour_of(7)))
    assert same(again, behaviour_of(7))
    assert again.results.dtype == np.int32


def test_tables_keep_problems_of_different_sizes_and_inputs_without_a_test(tmp_path):
    alone = Behaviour(
        (Input(None, "f", "[[2], {}]", 2),), (Output(Ending.OPAQUE, 0, "<f>"),), np.zeros((1, 1), np.int32)
    )
    behaviours = {"b": behaviour_of(0), "a": behaviour_of(5, candidates=2), "c": alone}
    write_behaviours(behaviours.items(), tmp_path)
    again = read_behaviours(tmp_path)
    assert list(again) == ["b", "a", "c"]
    assert all(same(again[problem], behaviour) for problem, behaviour in behaviours.items())


def test_half_a_surrogate_pair_in_an_example_can_be_packed_and_does_not_break_the_tables(tmp_path):
    odd = Behaviour(
        (Input(0, "f", "[]", 1),), (Output(Ending.RETURNED, 1, "\ud800"),), np.zeros((1, 1), np.int32)
    )
    assert same(unpack(pack(odd)), odd)
    write_behaviours([("p", odd)], tmp_path)
    assert read_behaviours(tmp_path)["p"].outputs == (Output(Ending.RETURNED, 1, "?"),)


def test_a_run_without_behaviour_has_no_tables_and_nothing_to_read(tmp_path):
    write_behaviours([("p", behaviour_of(0))], tmp_path)
    write_behaviours([], tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_behaviours(tmp_path) == {}


def test_tables_of_something_else_get_one_sentence(recorded, tmp_path):
    write_behaviours([("p", behaviour_of(0))], tmp_path)
    path = tmp_path / "inputs.parquet"  # one of the three
    pq.write_table(pq.read_table(path).drop_columns(["results"]), path)
    with pytest.raises(UserError, match="must have the columns of a run but lacks results"):
        read_behaviours(tmp_path)


def test_a_journal_gives_the_behaviour_of_all_tests_in_their_order(tmp_path):
    with Journal(tmp_path / "journal.sqlite") as journal, journal.transaction():
        for test in (10, 2):
            journal.add_behaviour("p", test, behaviour_of(test))
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert same(journal.behaviour_of("p"), join([behaviour_of(2), behaviour_of(10)]))
        assert journal.behaviour_of("other") is None

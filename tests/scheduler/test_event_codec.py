"""Events as JSON: exact numbers for any columns."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.metering import Usage
from testbudget.scheduler.core.events import (
    Assessed,
    Cap,
    CapChanged,
    Executed,
    RunStarted,
    WorkerJoined,
    WorkerKind,
    WorkerMetered,
)
from testbudget.scheduler.event_codec import EVENTS, decode_event, encode_event
from testbudget.testing.log_entries import every_kind, same

ints = st.integers(-(2**63), 2**63 - 1)
floats = st.floats()


def again(event):
    return decode_event(type(event).__name__, encode_event(event))


@given(st.lists(st.tuples(ints, ints, ints, ints)))
def test_any_integers_come_back(rows):
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    assert same(again(Executed(*columns)), Executed(*columns))


@given(st.lists(st.tuples(ints, floats, st.booleans(), floats)))
def test_any_floats_and_booleans_come_back(rows):
    tasks = np.array([row[0] for row in rows], np.int64)
    event = Assessed(
        tasks,
        np.array([row[1] for row in rows], np.float64),
        tasks,
        np.array([row[2] for row in rows], np.bool_),
        np.array([row[3] for row in rows], np.float64),
    )
    assert same(again(event), event)


@given(ints, st.sampled_from(WorkerKind), st.tuples(floats, floats, floats))
def test_any_usage_comes_back(worker, kind, amounts):
    for event in (
        WorkerJoined(worker, kind, Usage(*amounts)),
        WorkerMetered(worker, Usage(*amounts), Usage()),
    ):
        assert same(again(event), event)
        assert again(event) == event or any(amount != amount for amount in amounts)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False)), st.dictionaries(st.text(), st.floats(0, 1)))
def test_any_cap_comes_back(limits, prices):
    assert again(CapChanged(Cap(limits, prices))) == CapChanged(Cap(limits, prices))


def test_a_field_that_the_text_lacks_has_its_default_and_an_unknown_one_is_an_error():
    started = RunStarted(1, 0, Cap(), np.array([3]), 0, 1, 1)
    columns = json.loads(encode_event(started))
    del columns["checks"], columns["assesses"]
    assert same(decode_event("RunStarted", json.dumps(columns)), started)
    with pytest.raises(KeyError):
        decode_event("RunStarted", json.dumps(columns | {"other": 1}))
    with pytest.raises(KeyError):
        decode_event("Other", "{}")
    with pytest.raises(TypeError):
        decode_event("RunStarted", "{}")


def test_numpy_numbers_are_written_as_plain_ones():
    event = WorkerJoined(np.int64(3), WorkerKind.RUNNER, Usage(np.float64(0.5)))
    assert same(again(event), WorkerJoined(3, WorkerKind.RUNNER, Usage(0.5)))


def test_operation_codes_are_the_names_of_the_events():
    assert {kind.__name__ for kind in EVENTS.values()} == set(EVENTS)
    assert {type(entry.event).__name__ for entry in every_kind()} - {"Note"} == set(EVENTS)

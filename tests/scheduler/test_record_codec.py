"""Records as bytes: any text and number, small where that pays."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.scheduler.log_records import ExtractedRecord, FailedRecord, GeneratedRecord, SampledRecord
from testbudget.scheduler.record_codec import decode_record, encode_record
from testbudget.testing.log_entries import every_kind, same
from testbudget.traces.records import (
    CandidateRecord,
    HiddenStatesRecord,
    Piece,
    TestRecord,
    TestStatus,
)

texts = st.text(st.characters(exclude_categories=()), max_size=400)
pieces = st.none() | st.builds(Piece, texts, st.floats(), st.floats(), st.floats())
candidates = st.builds(CandidateRecord, texts, st.booleans(), st.integers(0, 2**31), st.floats())
tests = st.builds(
    TestRecord, st.sampled_from(TestStatus), texts, st.integers(0, 2**63), st.floats(), st.floats()
)


def again(record):
    payload, outputs, reasons = encode_record(record)
    return decode_record(type(record).__name__, record.problem, payload, outputs, reasons)


@given(texts, st.lists(candidates, max_size=5).map(tuple), pieces)
def test_any_candidates_come_back(problem, found, piece):
    record = SampledRecord(problem, found, piece)
    assert same(again(record), record)


@given(texts, st.integers(0, 2**31), st.lists(tests, max_size=5).map(tuple), pieces)
def test_any_tests_come_back(problem, first, found, piece):
    record = GeneratedRecord(problem, first, found, piece)
    assert same(again(record), record)
    assert all(isinstance(test.status, TestStatus) for test in again(record).tests)


def test_records_of_every_kind_come_back_and_their_outputs_and_reasons_may_be_left_on_the_disk():
    for record in (record for entry in every_kind() for record in entry.records):
        assert same(again(record), record)
        payload, outputs, _ = encode_record(record)
        light = decode_record(type(record).__name__, record.problem, payload, None, None)
        on_disk = {} if outputs is None else {"outputs": None, "reasons": None}
        assert same(light, dataclasses.replace(record, **on_disk))


def test_texts_are_compressed_and_noise_is_not():
    repeated = FailedRecord("p", "the worker is gone; " * 1000)
    assert len(encode_record(repeated)[0]) < 500
    noise = np.random.default_rng(0).integers(0, 2**14, (3, 4096), np.uint16).view(np.float16)
    payload, *_ = encode_record(ExtractedRecord("p", HiddenStatesRecord(noise, None, 0.0, 0.0), (1, 2, 3)))
    assert noise.nbytes < len(payload) < noise.nbytes + 200
    short = FailedRecord("p", "gone")
    assert b"gone" in encode_record(short)[0]


@pytest.mark.parametrize("value", [np.float64(1.5), np.int64(3), True])
def test_numpy_numbers_are_written_as_plain_ones(value):
    record = SampledRecord("p", (CandidateRecord("x", np.bool_(True), np.int64(3), value),))
    assert same(again(record), SampledRecord("p", (CandidateRecord("x", True, 3, float(value)),)))

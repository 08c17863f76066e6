"""Reasons on disk: in the event log and in the table of a run directory."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.verdict_reason import DetailName, VerdictReason
from testbudget.testing.log_entries import same
from testbudget.traces.pair_reasons import NO_REASON, PairReasons
from testbudget.traces.reason_tables import pack_reasons, read_reasons, unpack_reasons, write_reasons

REASONS = PairReasons(
    (0, 3),
    (
        VerdictReason("The test passed."),
        VerdictReason("The candidate raised KeyError.", {DetailName.EXCEPTION: "KeyError"}),
        VerdictReason("It took too long.", {DetailName.LIMIT: "2 s", DetailName.MESSAGE: "half \ud83d"}),
    ),
    np.array([[0, 0], [1, NO_REASON], [2, 0]], np.int32),
    np.array([[0, 0], [0, 0], [0.05, 0]], np.float32),
)


def random_reasons(pairs, distinct):
    """Reasons of 100 programs, each with details of its own for so many of them."""
    rng = np.random.default_rng(0)
    reasons = [
        VerdictReason("The assertion does not hold.", {DetailName.GIVEN: str(n), DetailName.EXPECTED: "7"})
        for n in range(distinct)
    ]
    numbers = rng.integers(distinct, size=(100, pairs // 100)).astype(np.int32)
    cut_at = np.zeros(numbers.shape, np.float32)
    return PairReasons(tuple(range(pairs // 100)), tuple(reasons), numbers, cut_at)


def test_packed_reasons_come_back():
    assert same(unpack_reasons(pack_reasons(REASONS)), REASONS)


def test_a_repeated_reason_takes_little_room():
    assert len(pack_reasons(random_reasons(1000, 1))) < 200
    assert len(pack_reasons(random_reasons(10_000, 100))) < 2 * 10_000


def test_written_reasons_are_read_again(tmp_path):
    write_reasons([("p", REASONS), ("q", REASONS.of_tests([3]))], tmp_path)
    found = read_reasons(tmp_path)
    assert list(found) == ["p", "q"]
    assert found["p"].of_test(0)[:2] == list(REASONS.reasons[:2])
    assert found["p"].of_test(0)[2].detail == {DetailName.LIMIT: "2 s", DetailName.MESSAGE: "half ?"}
    assert found["p"].of_test(3) == [REASONS.reasons[0], None, REASONS.reasons[0]]
    assert found["p"].cut_at.tolist() == REASONS.cut_at.tolist()
    assert found["q"].tests == (3,)


def test_the_table_has_a_row_for_each_distinct_reason_of_a_test(tmp_path):
    write_reasons([("p", REASONS)], tmp_path)
    first, *_, last = pq.read_table(tmp_path / "reasons.parquet").to_pylist()
    assert (first["test"], first["reason"], first["programs"]) == (0, "The test passed.", [0])
    assert (first["exception"], first["cut_at"]) == (None, None)
    assert (last["test"], last["programs"]) == (3, [0, 2])


def test_a_run_without_reasons_has_no_table(tmp_path):
    write_reasons([("p", REASONS)], tmp_path)
    write_reasons([], tmp_path)
    assert not list(tmp_path.iterdir())
    assert read_reasons(tmp_path) == {}


def test_a_damaged_table_is_refused(tmp_path):
    (tmp_path / "reasons.parquet").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"reasons\.parquet must be a Parquet table"):
        read_reasons(tmp_path)

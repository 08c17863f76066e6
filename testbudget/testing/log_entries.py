"""Entries of every kind for the conformance suite of logs, and their comparison."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from testbudget.executors.metering import Usage
from testbudget.rewards.outputs import (
    NO_RESULT,
    CallEnding,
    CallResult,
    RecordedCall,
    RecordedOutputs,
)
from testbudget.rewards.verdict_reason import DetailName, VerdictReason
from testbudget.scheduler.core import events as core
from testbudget.scheduler.core.events import Cap, Event, WorkerKind
from testbudget.scheduler.event_log import Entry, Note
from testbudget.scheduler.log_records import (
    AssessedRecord,
    ExecutedRecord,
    ExtractedRecord,
    FailedRecord,
    GeneratedRecord,
    LabelledRecord,
    Record,
    SampledRecord,
)
from testbudget.traces.hidden_states import Provenance
from testbudget.traces.pair_reasons import NO_REASON, PairReasons
from testbudget.traces.records import (
    CandidateRecord,
    HiddenStatesRecord,
    Piece,
    TestRecord,
    TestStatus,
    VerdictRecord,
)

_NAN = float("nan")
_PIECE = Piece("worker é", 0.1, 0.25, 1e9 + 1 / 3)
_TEXT = 'def f(x):\n\treturn "é \U0001f600 \x00 \ud83d"  # the last one is half a pair\n'


def every_kind() -> list[Entry]:
    """Entries that hold every kind of event, of record and of value: NaN, null, empty, extreme."""
    pair, none = np.array([3, 2**40]), np.zeros(0, np.int64)
    rates = np.array([1 / 3, _NAN])
    candidates = (CandidateRecord(_TEXT, True, 3, 0.5), CandidateRecord("", False, 0, _NAN))
    states = np.arange(6, dtype=np.float16).reshape(2, 3)
    known, unknown = (
        HiddenStatesRecord(states, True, 0.5, 0.0),
        HiddenStatesRecord(states, None, _NAN, 0.25),
    )
    tests = (
        TestRecord(TestStatus.USABLE, _TEXT, 2**63 - 1, 9, 0.25),
        TestRecord(TestStatus.DUPLICATE, _TEXT * 100, 0, _NAN, _NAN),
        TestRecord(TestStatus.UNUSABLE, "", 7, 0, 0.0),
    )
    labels = np.array([True, False])
    pairs: list[tuple[Event | Note, tuple[Record, ...]]] = [
        (core.RunStarted(2, 7, Cap({"tests": 10, "usd": 0.1}, {"tokens": 1e-6}), pair, 1, 2**62, 4), ()),
        (core.RunStarted(0, 0, Cap(), none, 0, 1, 1, (5, 10, 20), 6, False), ()),
        (core.Sampled(none, none), ()),
        (core.Sampled(pair, pair), (SampledRecord("p", candidates, _PIECE), SampledRecord("é", ()))),
        (
            core.Extracted(pair, rates),
            (
                ExtractedRecord("p", known, (12, 24), Provenance("m", "ab" * 32, 24, "vllm", "bfloat16")),
                ExtractedRecord("é", unknown, (), None, _PIECE),
            ),
        ),
        (core.Generated(pair, pair), (GeneratedRecord("p", 5, tests, _PIECE), GeneratedRecord("é", 0, ()))),
        (
            core.Executed(pair, pair, pair, pair),
            (
                ExecutedRecord("p", (5, 9), (_verdicts(0), _verdicts(3)), _outputs(), _PIECE, _reasons()),
                ExecutedRecord("é", (), ()),
            ),
        ),
        (
            core.Assessed(pair, rates, pair, labels, rates),
            (AssessedRecord("p", 1, 0.75), AssessedRecord("é", 0, _NAN)),
        ),
        (core.Labelled(pair), (LabelledRecord("p", labels, _PIECE), LabelledRecord("é", labels[:0]))),
        (core.Failed(pair), (FailedRecord("p", _TEXT), FailedRecord("é", ""))),
        (core.Quarantined(pair), (FailedRecord("p", _TEXT), FailedRecord("é", ""))),
        *((core.WorkerJoined(int(kind), kind, Usage(1, 0.1, _NAN)), ()) for kind in WorkerKind),
        (core.WorkerMetered(1, Usage(0.1 + 0.2, 1e300, 5e-324), Usage(float("inf"), 0, 1)), ()),
        (core.WorkerLost(2**40), ()),
        (core.WorkerLeft(7), ()),
        (core.DriverRestarted(), ()),
        (core.CapChanged(Cap({"cpu_seconds": 1.5})), ()),
        (core.Paused(), ()),
        (core.Continued(), ()),
        (Note("pools", {"runner": {"workers": 2, "busy": 1, "queued": 0}}), ()),
        (Note("resume", {"text": "é\n", "none": None, "list": [1, 2.5, "x"]}), ()),
    ]
    return [Entry(event, 0.5 * place, records) for place, (event, records) in enumerate(pairs)]


def draw_appends(rng: np.random.Generator, count: int, *, kilobytes: int) -> list[list[Entry]]:
    """Appends of one to three entries each, with hidden states that do not compress.

    Args:
        rng: source of sizes and states.
        count: number of appends.
        kilobytes: mean size of an entry.
    """
    appends: list[list[Entry]] = []
    for number in range(count):
        entries = []
        for _ in range(rng.integers(1, 4)):
            size = int(rng.integers(1, 2 * kilobytes + 1))
            states = HiddenStatesRecord(_noise(rng, size), None, 0.0, 0.0)
            event = core.Extracted(np.array([number]), np.array([rng.random()]))
            entries.append(Entry(event, float(number), (ExtractedRecord(f"p{number}", states, (0,)),)))
        appends.append(entries)
    return appends


def payload_bytes(entries: Sequence[Entry]) -> int:
    """Size of the hidden states in entries, in bytes."""
    records = (record for entry in entries for record in entry.records)
    return sum(record.states.states.nbytes for record in records if isinstance(record, ExtractedRecord))


def differences(found: Sequence[Entry], expected: Sequence[Entry]) -> str | None:
    """Place and nature of the first difference between entries, ``issued`` left out; None if equal."""
    if len(found) != len(expected):
        return f"{len(found)} entries but {len(expected)} were appended"
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        for name in ("event", "time", "records"):
            if not same(getattr(one, name), getattr(other, name)):
                return f"entry {place} has {name} {getattr(one, name)} but got {getattr(other, name)}"
    return None


def _noise(rng: np.random.Generator, kilobytes: int) -> Any:
    return rng.integers(0, 2**14, size=(1, 512 * kilobytes), dtype=np.uint16).view(np.float16)


def _verdicts(input_mutations: int) -> VerdictRecord:
    return VerdictRecord(
        np.array([1, 255], np.uint8),
        np.array([0.5, np.nan], np.float32),
        np.array([True, False]),
        input_mutations,
    )


def _outputs() -> RecordedOutputs:
    calls = tuple(RecordedCall(test, "f", f"[[{test}], {{}}]", 2**64 - test) for test in (5, 9))
    outputs = (CallResult(CallEnding.RETURNED, 1, _TEXT), CallResult(CallEnding.OPAQUE, 0, ""))
    return RecordedOutputs(calls, outputs, np.array([[0, 1], [1, NO_RESULT]], np.int32))


def _reasons() -> PairReasons:
    detail = {DetailName.MESSAGE: _TEXT, DetailName.LINE: "7"}
    reasons = (VerdictReason("It is so."), VerdictReason("It is not.", detail))
    numbers = np.array([[0, NO_REASON], [1, 0]], np.int32)
    return PairReasons((5, 9), reasons, numbers, np.array([[0, 0.05], [0, 0]], np.float32))


def same(one: Any, other: Any) -> bool:
    """True if two values are equal in type and content; NaN equals NaN, and 1 equals 1.0."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other or (one != one and other != other)  # noqa: PLR0124 (NaN)
    if type(one) is not type(other):
        return False
    if isinstance(other, np.ndarray):
        same_form = (one.dtype, one.shape) == (other.dtype, other.shape)
        return same_form and np.array_equal(one, other, equal_nan=other.dtype.kind == "f")
    if dataclasses.is_dataclass(other):
        names = [field.name for field in dataclasses.fields(other)]
        one, other = ([getattr(value, name) for name in names] for value in (one, other))
    elif isinstance(other, dict):
        one, other = (sorted(value.items()) for value in (one, other))
    if isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)

"""The evidence store: a fold of the log's records that is the same live and after reopening."""

import numpy as np
import pytest

from testbudget.rewards.outputs import select_outputs
from testbudget.scheduler.core.events import (
    Assessed,
    Executed,
    Extracted,
    Generated,
    Labelled,
    Paused,
    Sampled,
)
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog, Note
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.log_records import (
    AssessedRecord,
    ExecutedRecord,
    ExtractedRecord,
    GeneratedRecord,
    LabelledRecord,
    SampledRecord,
)
from testbudget.testing.log_entries import same
from testbudget.traces.hidden_states import Provenance
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import HiddenStatesRecord, ProblemCandidates, evidence_of
from testbudget.traces.tables import read_trace

ONE = np.array([0])
STATES = HiddenStatesRecord(np.ones((1, 2), np.float16), None, 0.5, 0.0)


@pytest.fixture
def run(recorded):
    """Trace and recorded outputs of a run."""
    return read_trace(recorded.directory), read_outputs(recorded.directory)


def entries_of(run, problem, groups):
    """Entries of one problem whose tests are executed in groups of indices."""
    trace, outputs = run[0].problems[problem], run[1][problem]
    tests = tuple(trace.tests[index] for index in range(len(trace.tests)))
    yield Entry(Sampled(ONE, ONE), 0.0, (SampledRecord(problem, tuple(trace.candidates)),))
    yield Entry(Note("pools", {}), 0.0)
    yield Entry(Extracted(ONE, np.zeros(1)), 0.0, (ExtractedRecord(problem, STATES, (2,), None),))
    for first in (0, 3):
        record = GeneratedRecord(problem, first, tests[first : 3 if first == 0 else None])
        yield Entry(Generated(ONE, ONE), 0.0, (record,))
    for group in groups:
        executed = tuple(index for index in group if index in trace.verdicts)
        verdicts = tuple(trace.verdicts[index] for index in executed)
        inputs = [place for place, call in enumerate(outputs.inputs) if call.test in executed]
        record = ExecutedRecord(problem, executed, verdicts, select_outputs(outputs, inputs=inputs))
        yield Entry(Executed(ONE, ONE, ONE, ONE), 0.0, (record,))
        assessed = Assessed(ONE, np.zeros(1), ONE, np.zeros(1, np.bool_), np.zeros(1))
        yield Entry(assessed, 0.0, (AssessedRecord(problem, 0, 0.5),))
    yield Entry(Labelled(ONE), 0.0, (LabelledRecord(problem, trace.correct),))


def stored(path, entries):
    """Store of a new log to which entries are appended and applied one by one."""
    log = EventLog(path)
    store = EvidenceStore(log)
    for entry in entries:
        log.append([entry])
        store.apply(entry)
    return log, store


def assert_equal(store, other, problems):
    """Hold two stores to be equal in all that they offer."""
    for name in ("tests", "verdicts", "labels", "states"):
        assert same(dict(getattr(store, name)), dict(getattr(other, name)))
    assert (store.layers, store.provenance) == (other.layers, other.provenance)
    for problem in problems:
        assert store.candidates_of(problem) == other.candidates_of(problem)
        assert same(store.recorded_outputs_of(problem), other.recorded_outputs_of(problem))


def test_a_store_loaded_from_the_log_is_the_one_that_was_kept_up_live(run, tmp_path):
    problems = ["times/2", "times/3"]
    entries = [e for problem in problems for e in entries_of(run, problem, [(0, 1), (2, 3, 4), (5, 7)])]
    log, live = stored(tmp_path / LOG_FILE, entries)
    with log:
        assert_equal(live, EvidenceStore(log), problems)
    with EventLog(tmp_path / LOG_FILE) as log:
        loaded = EvidenceStore(log)
        for problem in problems:
            trace = run[0].problems[problem]
            assert list(loaded.candidates_of(problem)) == list(trace.candidates)
            assert loaded.tests[problem] == trace.tests
            assert same(loaded.verdicts[problem], dict(trace.verdicts))
            assert same(loaded.labels[problem], trace.correct)
            assert same(loaded.states[problem], STATES)
        assert (loaded.layers, loaded.provenance) == ((2,), None)


def test_a_problem_without_records_has_nothing(tmp_path):
    with EventLog(tmp_path / LOG_FILE) as log:
        store = EvidenceStore(log)
        assert list(store.candidates_of("p")) == []
        assert store.recorded_outputs_of("p") is None
        assert store.recorded_outputs_of("p", [0, 1]) is None
        assert store.verdicts["p"] == {}


def test_the_first_of_two_records_of_the_same_work_counts(run, tmp_path):
    first = list(entries_of(run, "times/2", [(0, 1, 2)]))
    other = [
        Entry(e.event, 1.0, tuple(renamed(record, "times/2") for record in e.records))
        for e in entries_of(run, "times/3", [(0, 1, 2, 3)])
    ]
    log, store = stored(tmp_path / LOG_FILE, first + other)
    with log:
        trace = run[0].problems["times/2"]
        assert list(store.candidates_of("times/2")) == list(trace.candidates)
        assert store.tests["times/2"] == trace.tests
        late = run[0].problems["times/3"].verdicts[3]
        expected = {index: trace.verdicts[index] for index in (0, 1, 2)} | {3: late}
        assert same(store.verdicts["times/2"], expected)
        outputs = store.recorded_outputs_of("times/2")
        expected_inputs = [call for call in run[1]["times/2"].inputs if call.test < 3]
        assert [call for call in outputs.inputs if call.test < 3] == expected_inputs
        assert_equal(store, EvidenceStore(log), ["times/2"])


def renamed(record, problem):
    """The record as one of another problem."""
    fields = {name: getattr(record, name) for name in type(record).__slots__}
    return type(record)(**fields | {"problem": problem})


@pytest.mark.parametrize("pages", [1, 4096])
@pytest.mark.parametrize(
    "groups", [[(0, 1, 2, 3, 5, 7)], [(0, 1), (2, 3), (5,), (7,)], [(5, 7), (0, 1, 2, 3)]]
)
def test_recorded_outputs_come_in_the_order_of_tests_however_they_were_grouped(
    run, tmp_path, groups, pages
):
    whole = run[1]["times/4"]
    log, live = stored(tmp_path / LOG_FILE, entries_of(run, "times/4", groups))
    with log:
        for store in (live, EvidenceStore(log, pages)):
            found = store.recorded_outputs_of("times/4")
            assert found.inputs == whole.inputs
            assert values(found) == values(whole)
            few = store.recorded_outputs_of("times/4", {3, 0, 9})
            assert [call.test for call in few.inputs] == [0, 3]
            assert values(few) == [row[:1] + row[3:4] for row in values(whole)]


def values(outputs):
    """Outputs themselves in place of their numbers."""
    return [[outputs.outputs[number] for number in row] for row in outputs.results]


@pytest.mark.parametrize("tests", [None, 0, 1, 4, 100])
def test_evidence_is_that_of_the_first_tests_alone(run, recorded, tmp_path, tests):
    trace = run[0].problems["times/5"]
    log, store = stored(tmp_path / LOG_FILE, entries_of(run, "times/5", [(0, 1), (2, 3), (5, 7)]))
    item = ProblemCandidates.of(recorded.problems[3], trace.candidates)
    assert item.problem.id == "times/5"
    kept = {test: record for test, record in trace.verdicts.items() if tests is None or test < tests}
    inputs = [place for place, call in enumerate(run[1]["times/5"].inputs) if call.test in kept]
    expected = evidence_of(
        kept, item.distinct, select_outputs(run[1]["times/5"], inputs=inputs) if kept else None
    )
    with log:
        for found in (store.evidence(item, tests), EvidenceStore(log).evidence(item, tests)):
            np.testing.assert_array_equal(found.votes.passed(), expected.votes.passed())
            np.testing.assert_array_equal(found.votes.run(), expected.votes.run())
            assert (found.outputs is None) == (expected.outputs is None)
            if expected.outputs is not None:
                np.testing.assert_array_equal(found.outputs.known, expected.outputs.known)
                np.testing.assert_array_equal(found.outputs.returned, expected.outputs.returned)
                assert groups(found.outputs.results) == groups(expected.outputs.results)


def groups(results):
    """Number of the first candidate with the same output, for each input and candidate."""
    return [[row.index(value) for value in row] for row in results.tolist()]


def test_an_entry_that_was_not_applied_is_noticed_before_outputs_of_another_problem_are_taken(
    run, tmp_path
):
    with EventLog(tmp_path / LOG_FILE) as log:
        store = EvidenceStore(log)
        log.append([Entry(Sampled(ONE, ONE), 0.0, (SampledRecord("other", ()),))])
        for entry in entries_of(run, "times/2", [(0, 1)]):
            light = [
                ExecutedRecord(record.problem, record.tests, record.verdicts)
                if isinstance(record, ExecutedRecord)
                else record
                for record in entry.records
            ]
            log.append([entry])
            store.apply(Entry(entry.event, entry.time, tuple(light)))
        store.apply(Entry(Paused(), 0.0))
        with pytest.raises(RuntimeError, match="an entry of the log was not applied"):
            store.recorded_outputs_of("times/2")


def test_provenance_and_layers_are_those_of_the_first_hidden_states(tmp_path):
    first, second = (Provenance(name, "ab" * 32, 24, "vllm", "bfloat16") for name in ("a", "b"))
    entries = [
        Entry(Extracted(ONE, np.zeros(1)), 0.0, (ExtractedRecord("p", STATES, (2,), first),)),
        Entry(Extracted(ONE, np.zeros(1)), 0.0, (ExtractedRecord("p", STATES, (3,), second),)),
    ]
    log, store = stored(tmp_path / LOG_FILE, entries)
    with log:
        assert (store.layers, store.provenance) == ((2,), first)


def test_a_store_of_one_page_holds_what_one_of_many_does(run, tmp_path):
    problems = ["times/2", "times/3", "times/4"]
    in_turns = zip(*(entries_of(run, problem, [(0, 1), (2, 3)]) for problem in problems), strict=True)
    entries = [entry for entries in in_turns for entry in entries]
    log = EventLog(tmp_path / LOG_FILE)
    few, many = EvidenceStore(log, 1), EvidenceStore(log)
    with log:
        for entry in entries:
            log.append([entry])
            few.apply(entry)
            many.apply(entry)
        assert_equal(few, many, problems)
        assert_equal(EvidenceStore(log, 1), many, problems)
        assert [len(few.verdicts), len(few.tests), few.is_sampled("times/2"), few.is_sampled("p")] == [
            3,
            3,
            True,
            False,
        ]
        assert [few.rung_ends(problem) for problem in problems] == [[2, 4]] * 3

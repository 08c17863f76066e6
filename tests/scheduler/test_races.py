"""The race by itself; the loop's tests hold what it does to a run."""

import numpy as np

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.outputs import NO_RESULT, CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, Problem, Verdict
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assessment import CandidateElimination, EliminationRule
from testbudget.traces.records import (
    CandidateRecord,
    ProblemCandidates,
    TaskRecord,
    VerdictRecord,
    evidence_of,
)

RACING = EliminationRule(Majority(), z=2.0)
PROBLEM = Problem("p", "def f():\n", "f")
# The second and the fourth candidate are the same program.
CODES = ("return 1", "return 2", "return 3", "return 2")


def item() -> ProblemCandidates:
    return ProblemCandidates.of(PROBLEM, [CandidateRecord(code, False, 0, 0.0) for code in CODES])


def verdicts_of(rows) -> dict[int, VerdictRecord]:
    return {
        test: VerdictRecord(
            np.array(row, np.uint8), np.zeros(len(row), np.float32), np.zeros(len(row), np.bool_)
        )
        for test, row in enumerate(rows)
    }


def races_of(elimination, recorded_outputs=None) -> CandidateElimination:
    return CandidateElimination([item()], elimination, lambda _: recorded_outputs)


FIVE_LOSSES = verdicts_of([[1, 0, 1]] * 5)


def test_who_falls_out_stays_out_also_when_another_leads():
    races = races_of(RACING)
    races.update(0, FIVE_LOSSES)
    assert races.programs(0).tolist() == [0, 2]
    later = verdicts_of([[1, 0, 1]] * 5 + [[0, NOT_RUN, 1]] * 6)
    races.update(0, later)
    assert races.programs(0).tolist() == [2]
    races.update(0, verdicts_of([[0, 1, 0]] * 9))
    assert races.programs(0).tolist() == [2]


def test_a_restored_race_leaves_out_the_same_programs():
    verdicts = verdicts_of([[1, 0, 1]] * 9 + [[0, NOT_RUN, 1]] * 11)
    undisturbed, resumed = races_of(RACING), races_of(RACING)
    for before in (9, 16):
        undisturbed.update(0, {index: record for index, record in verdicts.items() if index < before})
    resumed.restore(0, [TaskRecord("p", 0, 12), TaskRecord("p", 12, 8)], verdicts)
    assert resumed.programs(0).tolist() == undisturbed.programs(0).tolist() == [2]


def test_a_rule_that_goes_by_outputs_keeps_whom_more_candidates_behave_like():
    """Program 1 loses five tests, but two of the four candidates are this program."""
    outputs = tuple(CallResult(CallEnding.RETURNED, digest, str(digest)) for digest in range(3))
    inputs = tuple(RecordedCall(test, "f", f"[{test}]", test) for test in range(5))
    recorded_outputs = RecordedOutputs(inputs, outputs, np.tile(np.array([[0], [1], [2]], np.int32), 5))
    rows = verdicts_of([[1, 0, 0]] * 5)
    for elimination, left in ((RACING, [0]), (EliminationRule(selection_rule("auto"), 2.0), [0, 1])):
        races = races_of(elimination, recorded_outputs)
        races.update(0, rows)
        assert races.programs(0).tolist() == left


def test_one_program_goes_on_for_those_that_do_alike_and_is_known_again_after_a_restart():
    """The second and the third give the same outputs on all tests that both are run on."""
    outputs = tuple(CallResult(CallEnding.RETURNED, digest, str(digest)) for digest in range(2))
    inputs = tuple(RecordedCall(test, "f", f"[{test}]", test) for test in range(12))
    results = np.tile(np.array([[0], [1], [1]], np.int32), 12)
    results[2, 9:] = NO_RESULT
    recorded_outputs = RecordedOutputs(inputs, outputs, results)
    rows = verdicts_of([[1, 1, 1]] * 9 + [[1, 0, NOT_RUN]] * 3)
    undisturbed, resumed = races_of(RACING, recorded_outputs), races_of(RACING, recorded_outputs)
    undisturbed.update(0, {index: record for index, record in rows.items() if index < 9})
    assert undisturbed.programs(0).tolist() == [0, 1]
    resumed.restore(0, [TaskRecord("p", 0, 12)], rows)
    assert resumed.programs(0).tolist() == [0, 1]
    evidence = evidence_of(rows, item().distinct, recorded_outputs)
    np.testing.assert_array_equal(evidence.votes.passed()[:, 2], evidence.votes.passed()[:, 1])
    assert evidence.votes.run().all()


def test_the_same_verdicts_are_looked_at_once_however_often_they_are_told():
    """Support is among those in the race, so a second look, as after a restart, might drop more."""
    rng = np.random.default_rng(0)
    programs = [CandidateRecord(f"return {number}", False, 0, 0.0) for number in range(12)]
    outputs = tuple(CallResult(CallEnding.RETURNED, digest, str(digest)) for digest in range(3))
    inputs = tuple(RecordedCall(test, "f", f"[{test}]", test) for test in range(5))
    for _ in range(50):
        recorded_outputs = RecordedOutputs(inputs, outputs, rng.integers(0, 3, (12, 5), dtype=np.int32))
        races = CandidateElimination(
            [ProblemCandidates.of(PROBLEM, programs)],
            EliminationRule(selection_rule("auto"), 0.5),
            lambda _, found=recorded_outputs: found,
        )
        rows = verdicts_of(rng.integers(0, 2, (5, 12)))
        races.update(0, rows)
        once = races.programs(0).tolist()
        races.update(0, rows)
        assert races.programs(0).tolist() == once


def test_heats_grow_and_only_a_race_has_them():
    races = races_of(RACING)
    assert [(part[0], part[-1]) for part in races.rungs(range(100))] == [
        (0, 4),
        (5, 8),
        (9, 15),
        (16, 28),
        (29, 51),
        (52, 93),
        (94, 99),
    ]
    assert races.rungs([9, 12, 20]) == [[9, 12], [20]]
    assert races_of(None).rungs(range(100)) == [list(range(100))]
    assert races.rungs([]) == races_of(None).rungs([]) == []


def test_without_a_race_everyone_stays():
    races = races_of(None)
    races.update(0, FIVE_LOSSES)
    assert races.programs(0).tolist() == [0, 1, 2]


def test_outcomes_of_some_programs_become_rows_among_all():
    races = races_of(RACING)
    races.update(0, FIVE_LOSSES)
    recorded_outputs = RecordedOutputs(
        (RecordedCall(5, "f", "[]", 1),),
        (CallResult(CallEnding.RETURNED, 1, "1"),),
        np.zeros((2, 1), np.int32),
    )
    ones = np.ones((2, 1), np.float32)
    verdicts = np.full((2, 1), Verdict.PASSED, np.uint8)
    spread = races.over_all_programs(
        0, BlockVerdicts(verdicts, ones, ones, ones.astype(np.bool_), recorded_outputs, np.array([3]))
    )
    assert spread.verdicts.ravel().tolist() == [1, NOT_RUN, 1]
    assert (
        spread.cpu_seconds.ravel().tolist()
        == spread.wall_seconds.ravel().tolist()
        == [1, 0, 1]
    )
    assert spread.same_process.ravel().tolist() == [True, False, True]
    assert spread.input_mutations.tolist() == [3]
    assert spread.recorded_outputs.results.ravel().tolist() == [0, NO_RESULT, 0]

"""Text tables, outcomes of tests by path, and the charging of seconds to pairs."""

import signal

import pytest

from testbudget.executors.execution.judging.pair_table import (
    PairTable,
    PathVerdict,
    TestOutcome,
    TextTable,
)
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes.live_process import ProcessEnd
from testbudget.executors.execution.processes.result_buffer import StepResult
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason

PASSED, FAILED, TIMED_OUT, KILLED = Verdict.PASSED, Verdict.FAILED, Verdict.TIMED_OUT, Verdict.KILLED
PASSES, FAILS = PathVerdict(PASSED, None), PathVerdict(FAILED, VerdictReason("It does not hold."))


def step(cpu_seconds, *, finished=True):
    return StepResult([], finished, cpu_seconds, cpu_seconds)


def process_end(*steps, cpu_seconds, killed_by=0):
    return ProcessEnd(steps, killed_by, None, True, cpu_seconds, cpu_seconds)


def pair_table(candidates=2, tests=2, **limits):
    pairs = [(candidate, test) for candidate in range(candidates) for test in range(tests)]
    return PairTable(pairs, TestLimits(**limits))


def test_equal_texts_have_one_position():
    table = TextTable()
    assert [table.position(text) for text in ("abc", "de", "abc")] == [0, 1, 0]
    assert (table.texts, table.characters) == (["abc", "de"], 5)


def test_an_outcome_holds_for_every_path_with_the_same_beginning():
    outcome = TestOutcome()
    outcome.record(((0, 5), (1, 6)), 1, FAILS)
    assert outcome.after([(0, 5)]) is FAILS
    assert outcome.after([(0, 5), (1, 9)]) is FAILS
    assert outcome.after([(0, 4)]) is None


def test_a_path_is_followed_through_the_calls_that_a_test_needs():
    outcome = TestOutcome()
    outcome.record((), 0, [0])
    outcome.record(((0, 5),), 1, [0, 2])
    outcome.record(((0, 5), (2, 7)), 2, PASSES)
    assert outcome.after([]) == [0]
    assert outcome.after([(0, 5)]) == [0, 2]
    assert outcome.after([(0, 5), (2, 7)]) is PASSES
    assert outcome.after([(0, 5), (1, 7)]) == [0, 2]


def test_one_candidate_does_not_change_the_outcome_for_another():
    outcome = TestOutcome()
    outcome.record((), 0, [0])
    outcome.record(((0, 5),), 0, FAILS)
    assert outcome.after([]) == [0]
    assert outcome.after([(0, 5)]) is FAILS


def test_charges_sum_to_the_seconds_that_the_kernel_counted():
    table = pair_table()
    pairs = [(0, 0), (0, 1), (1, 0)]
    table.charge(pairs, process_end(step(0.1), step(0.2), step(0.3), cpu_seconds=1.0))
    assert [table[pair].cpu_seconds for pair in pairs] == pytest.approx([0.1, 0.2, 0.7])
    assert [table[pair].wall_seconds for pair in pairs] == pytest.approx([0.1, 0.2, 0.7])


def test_the_step_that_ended_its_process_is_charged_for_the_unreported_seconds():
    table = pair_table()
    pairs = [(0, 0), (0, 1), (1, 0)]
    ended = process_end(
        step(0.1),
        step(0.0, finished=False),
        step(0.0, finished=False),
        cpu_seconds=0.6,
        killed_by=signal.SIGKILL,
    )
    table.charge(pairs, ended)
    assert [table[pair].cpu_seconds for pair in pairs] == pytest.approx([0.1, 0.5, 0.0])


@pytest.mark.parametrize("reported", [-5.0, 5.0, float("nan")])
def test_impossible_reports_are_replaced_by_equal_shares(reported):
    table = pair_table()
    table.charge([(0, 0), (1, 0)], process_end(step(reported), step(0.1), cpu_seconds=0.8))
    assert [table[pair].cpu_seconds for pair in [(0, 0), (1, 0)]] == pytest.approx([0.4, 0.4])


def test_the_cpu_limit_of_a_candidate_shrinks_with_the_seconds_that_it_used():
    table = pair_table(cpu_seconds=1.0)
    before = table.cpu_limit(0)
    table.charge([(0, 0)], process_end(step(2.0), cpu_seconds=2.0))
    assert table.cpu_limit(0) == before - 2
    assert table.cpu_limit(1) == before


def test_a_verdict_is_set_once():
    table = pair_table()
    table.close([(0, 0)], FAILED)
    table.close([(0, 0), (0, 1)], PASSED)
    assert (table[0, 0].verdict, table[0, 1].verdict) == (FAILED, PASSED)
    assert not table.is_open((0, 1))
    assert table.is_open((1, 0))


def test_a_candidate_that_never_loaded_gets_its_verdict_on_all_tests():
    table = pair_table()
    table.close_unloaded((0, 0), KILLED, VerdictReason("It ended."))
    assert [table[0, test].verdict for test in range(2)] == [KILLED, KILLED]
    table[1, 1].loaded = True
    table.close_unloaded((1, 0), KILLED, VerdictReason("It ended."))
    assert [table[1, test].verdict for test in range(2)] == [KILLED, None]


def test_a_candidate_is_held_after_too_many_timeouts_slow_pairs_included():
    table = pair_table(tests=3, max_timeouts=2)
    table.close([(0, 0)], TIMED_OUT)
    assert not table.is_held(0)
    table.mark_slow((0, 1), 0.05)
    assert table.is_held(0)
    assert not table.is_held(1)
    table.mark_resumed((0, 1))
    table.close([(0, 1)], PASSED)
    assert not table.is_held(0)
    table.record_timeout((0, 2))
    assert table.is_held(0)


def test_the_first_limit_follows_the_time_that_others_took():
    table = pair_table(candidates=4)
    assert table.first_limit(0) == pytest.approx(0.05)
    for seconds in (0.004, 0.006, 0.5):
        table.record_finished(0, seconds)
    assert table.first_limit(0) == pytest.approx(20 * 0.006)
    assert table.first_limit(1) == pytest.approx(0.05)


def test_a_test_that_is_slow_for_two_candidates_gets_five_times_the_first_limit():
    table = pair_table(candidates=4)
    table.mark_slow((0, 0), 0.05)
    assert table.first_limit(0) == pytest.approx(0.05)
    table.mark_slow((1, 0), 0.05)
    assert table.first_limit(0) == pytest.approx(0.25)


def test_a_verdict_found_in_one_process_replaces_a_doubt():
    table = pair_table()
    table.close([(0, 0)], Verdict.UNCONFIRMED, VerdictReason("It may be forged."))
    table.replace((0, 0), PASSED, None)
    state = table[0, 0]
    assert (state.verdict, state.reason, state.same_process) == (PASSED, None, True)

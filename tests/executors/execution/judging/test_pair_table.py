"""Text tables, outcomes of tests by path, and the charging of seconds to pairs."""

import signal

import pytest

from testbudget.executors.execution.judging.pair_table import (
    PairTable,
    PendingPath,
    TestOutcome,
    TextTable,
)
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes.process import ProcessEnd
from testbudget.executors.execution.processes.result_buffer import StepResult
from testbudget.rewards.problem import NOT_RUN, Verdict

PASSED, FAILED, TIMED_OUT, KILLED = Verdict.PASSED, Verdict.FAILED, Verdict.TIMED_OUT, Verdict.KILLED


def step(cpu_seconds, *, finished=True):
    return StepResult([], finished, cpu_seconds, cpu_seconds)


def process_end(*steps, cpu_seconds, killed_by=0, timed_out_step=None):
    return ProcessEnd(steps, killed_by, timed_out_step, True, cpu_seconds, cpu_seconds, 10)


def pair_table(candidates=2, tests=2, **limits):
    pairs = [(candidate, test) for candidate in range(candidates) for test in range(tests)]
    return PairTable(pairs, TestLimits(**limits))


def test_equal_texts_have_one_position():
    table = TextTable()
    assert [table.position(text) for text in ("abc", "de", "abc")] == [0, 1, 0]
    assert (table.texts, table.characters) == (["abc", "de"], 5)


def test_an_outcome_holds_for_every_path_with_the_same_beginning():
    outcome = TestOutcome()
    outcome.record(((0, 5), (1, 6)), 1, FAILED)
    assert outcome.after([(0, 5)]) is FAILED
    assert outcome.after([(0, 5), (1, 9)]) is FAILED
    assert outcome.after([(0, 4)]) is PendingPath.UNKNOWN


def test_a_path_is_followed_through_the_calls_that_a_test_needs():
    outcome = TestOutcome()
    outcome.record((), 0, [0])
    outcome.record(((0, 5),), 1, [0, 2])
    outcome.record(((0, 5), (2, 7)), 2, PASSED)
    assert outcome.after([]) == [0]
    assert outcome.after([(0, 5)]) == [0, 2]
    assert outcome.after([(0, 5), (2, 7)]) is PASSED
    assert outcome.after([(0, 5), (1, 7)]) == [0, 2]


def test_one_candidate_does_not_change_the_outcome_for_another():
    outcome = TestOutcome()
    outcome.record((), 0, [0])
    outcome.record(((0, 5),), 0, FAILED)
    assert outcome.after([]) == [0]
    assert outcome.after([(0, 5)]) is FAILED


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
    table.close_unloaded((0, 0), KILLED)
    assert [table[0, test].verdict for test in range(2)] == [KILLED, KILLED]
    table[1, 1].loaded = True
    table.close_unloaded((1, 0), KILLED)
    assert [table[1, test].verdict for test in range(2)] == [KILLED, None]


def test_tests_are_not_run_after_too_many_timeouts():
    table = pair_table(tests=3, max_timeouts=2)
    for test in range(2):
        assert not table.close_after_timeouts(0, [(0, 2)])
        ended = process_end(step(0.0), cpu_seconds=1.0, killed_by=signal.SIGKILL, timed_out_step=test)
        assert table.record_end(0, ended) is TIMED_OUT
    assert table.close_after_timeouts(0, [(0, 2)])
    assert table[0, 2].verdict == NOT_RUN
    assert not table.close_after_timeouts(1, [(1, 2)])


def test_a_process_that_was_killed_within_its_limit_did_not_time_out():
    ended = process_end(step(0.0), cpu_seconds=0.1, killed_by=signal.SIGSEGV)
    assert pair_table().record_end(0, ended) is KILLED

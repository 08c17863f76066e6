"""Pieces of work on a simulated clock."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from testbudget.scheduler.backends.simulated_clock import FinishedPiece, SimulatedClock


def finish(clock):
    finished = []
    while ended := clock.step():
        finished += ended
    return finished


def test_each_slot_serves_one_piece_at_a_time_in_the_order_of_submission():
    clock = SimulatedClock()
    pool = clock.pool([7, 8])
    pool.submit_all("abc", [2.0, 1.0, 3.0])
    assert (pool.busy, pool.queued) == (2, 1)
    assert clock.step() == [FinishedPiece("b", 8, 0.0, 0.0, 1.0)]
    pool.submit("d", 0.0)
    assert finish(clock) == [
        FinishedPiece("a", 7, 0.0, 0.0, 2.0),
        FinishedPiece("d", 7, 1.0, 2.0, 2.0),
        FinishedPiece("c", 8, 0.0, 1.0, 4.0),
    ]
    assert (pool.busy, pool.queued, clock.now) == (0, 0, 4.0)


def test_pieces_that_end_together_are_told_together():
    clock = SimulatedClock()
    engines, runners = clock.pool([0], slots=2), clock.pool([1])
    engines.submit_all("ab", [1.0, 1.0])
    runners.submit("c", 1.0)
    assert [piece.tag for piece in clock.step()] == ["a", "b", "c"]
    assert clock.step() == []


def test_a_worker_that_may_not_begin_waits_and_others_go_on():
    clock, able = SimulatedClock(), {1: True, 2: False}
    pool = clock.pool(able, slots=2, admit=lambda worker, tag: able[worker])
    pool.submit_all(range(6), [1.0] * 6)
    assert (pool.busy, pool.queued) == (2, 4)
    assert [piece.worker for piece in clock.step()] == [1, 1]
    able[2] = True
    pool.resume(2)
    pool.resume(1)
    assert (pool.busy, pool.queued) == (4, 0)
    assert sorted(piece.tag for piece in finish(clock)) == [2, 3, 4, 5]


def test_dropped_pieces_do_not_begin():
    clock = SimulatedClock()
    pool = clock.pool([0])
    pool.submit_all(range(5), [1.0] * 5)
    pool.drop(lambda tag: tag % 2 == 0)
    assert [piece.tag for piece in finish(clock)] == [0, 1, 3]


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), max_size=30), st.integers(1, 3), st.integers(1, 3))
def test_the_ends_are_those_of_a_queue_with_so_many_slots(seconds, workers, slots):
    clock = SimulatedClock()
    clock.pool(range(workers), slots).submit_all(range(len(seconds)), seconds)
    free, expected = [0.0] * (workers * slots), []
    for duration in seconds:
        begun = heapq.heappop(free)
        heapq.heappush(free, begun + duration)
        expected.append((begun, begun + duration))
    found = sorted(finish(clock), key=lambda piece: piece.tag)
    assert [(piece.started, piece.finished) for piece in found] == expected

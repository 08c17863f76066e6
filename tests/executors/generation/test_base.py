"""Shares of an engine's busy time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.generation.base import BusyTime


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_single_request_is_charged_for_all_gpus():
    clock = Clock()
    busy = BusyTime(gpus=4, clock=clock)
    mark = busy.arrive()
    clock.now += 2.0
    assert busy.depart(mark) == pytest.approx(8.0)


def test_concurrent_requests_are_charged_equal_shares():
    clock = Clock()
    busy = BusyTime(gpus=1, clock=clock)
    first = busy.arrive()
    clock.now += 1.0  # alone: 1.0
    second = busy.arrive()
    clock.now += 4.0  # two: 2.0 each
    assert busy.depart(first) == pytest.approx(3.0)
    clock.now += 0.5  # alone again: 0.5
    assert busy.depart(second) == pytest.approx(2.5)


def test_idle_time_is_not_charged():
    clock = Clock()
    busy = BusyTime(gpus=1, clock=clock)
    clock.now += 50.0
    busy.depart(busy.arrive())
    clock.now += 50.0
    mark = busy.arrive()
    clock.now += 1.0
    assert busy.depart(mark) == pytest.approx(1.0)


def test_without_gpus_nothing_is_charged():
    clock = Clock()
    busy = BusyTime(gpus=0, clock=clock)
    mark = busy.arrive()
    clock.now += 9.0
    assert busy.depart(mark) == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.booleans()), max_size=40))
def test_the_shares_of_all_requests_sum_to_the_busy_time(events):
    clock = Clock()
    busy = BusyTime(gpus=2, clock=clock)
    marks, paid, busy_seconds = [], 0.0, 0.0
    for pause, arrives in [*events, *[(1.0, False)] * len(events)]:
        clock.now += pause
        busy_seconds += pause if marks else 0.0
        if arrives:
            marks.append(busy.arrive())
        elif marks:
            paid += busy.depart(marks.pop(0))
    assert paid == pytest.approx(2 * busy_seconds)

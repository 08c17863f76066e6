"""A map in forked processes gives the results of a plain one, and forks no process with several threads."""

import os
import sys

import pytest

from testbudget.scheduler import forked_map as module
from testbudget.scheduler.forked_map import forked_map


@pytest.fixture
def two_cores(monkeypatch):
    """Two cores, and no other thread than this one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(module.threading, "active_count", lambda: 1)
    monkeypatch.delitem(sys.modules, "ray", raising=False)


def test_results_keep_their_order_and_come_of_other_processes(two_cores):
    read = {number: number * number for number in range(20)}  # inherited, not pickled
    found = [*forked_map(lambda number: (read[number], os.getpid()), range(20), at_once=3)]
    assert [square for square, _ in found] == [*read.values()]
    assert os.getpid() not in {process for _, process in found}


def test_few_items_and_several_threads_stay_in_this_process(two_cores, monkeypatch):
    assert {*forked_map(lambda _: os.getpid(), range(3), at_once=3)} == {os.getpid()}
    assert [*forked_map(str, [], at_once=3)] == []
    monkeypatch.setattr(module.threading, "active_count", lambda: 2)
    assert {*forked_map(lambda _: os.getpid(), range(20), at_once=3)} == {os.getpid()}


def test_an_error_of_the_function_is_raised(two_cores):
    with pytest.raises(ZeroDivisionError):
        [*forked_map(lambda number: 1 / number, range(20), at_once=3)]

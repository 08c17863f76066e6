"""Workers are let go as soon as their kind gets no more work, each kind once."""

import numpy as np

from testbudget.scheduler.core.events import Retire, WindDown, WorkerKind
from testbudget.scheduler.core.letting_go import LettingGo
from testbudget.scheduler.core.tasks import TaskState


def count(**states):
    found = np.zeros(len(TaskState), np.int64)
    for name, number in states.items():
        found[TaskState[name.upper()]] = number
    return found


def test_a_kind_winds_down_when_all_its_work_is_commanded_and_retires_when_that_is_done():
    letting_go = LettingGo()
    assert letting_go.due(count(sampling=2), granted_all=False) == [WindDown(WorkerKind.POLICY_MODEL)]
    assert letting_go.due(count(extracting=1), granted_all=False) == [
        WindDown(WorkerKind.EXTRACTOR),
        Retire(WorkerKind.POLICY_MODEL),
    ]
    assert letting_go.due(count(generating=1), granted_all=False) == [Retire(WorkerKind.EXTRACTOR)]
    assert letting_go.due(count(generating=1), granted_all=True) == [WindDown(WorkerKind.REWARD_MODEL)]
    assert letting_go.due(count(generating=1), granted_all=True) == []
    assert letting_go.due(count(executing=1), granted_all=True) == [Retire(WorkerKind.REWARD_MODEL)]


def test_a_resumed_run_lets_go_what_was_let_go_before():
    letting_go = LettingGo()
    letting_go.due(count(generating=1), granted_all=True)
    assert letting_go.again() == [
        WindDown(WorkerKind.REWARD_MODEL),
        Retire(WorkerKind.POLICY_MODEL),
        Retire(WorkerKind.EXTRACTOR),
    ]


def test_engines_of_tests_may_be_needed_again_after_a_raised_cap():
    letting_go = LettingGo()
    letting_go.due(count(), granted_all=True)
    letting_go.reopen()
    assert letting_go.due(count(generating=1), granted_all=True) == [WindDown(WorkerKind.REWARD_MODEL)]

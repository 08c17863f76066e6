"""Workers follow the places that there are, and are let go where there is no work."""

import pytest

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.backends.base import PoolUse, WorkerEnded
from tests.scheduler.backends.scripted_transport import DrivenPool


def at(driven):
    """Places of the workers that are alive."""
    return [worker.place for worker in driven.transport.workers if not worker.ended]


def test_workers_start_where_most_slots_are_free_and_follow_new_places():
    driven = DrivenPool(count=None, capacity=1)
    driven.transport.slots = {"x": 1, "y": 2}
    driven.submit(*range(9))
    assert sorted(at(driven)) == ["x", "y", "y"]
    driven.transport.slots = {"x": 1, "y": 2, "z": 2}
    driven.now += 1
    driven.step()
    assert sorted(at(driven)) == ["x", "y", "y", "z", "z"]


def test_work_of_a_lost_place_is_sent_again_without_blame():
    driven = DrivenPool(count=None, capacity=1)
    driven.transport.slots = {"x": 1, "y": 1}
    driven.submit("a", "b")
    for place in ("x", "y") * 3:
        driven.transport.slots = {place: 1}
        driven.now += 60
        driven.step()
    assert at(driven) == ["y"]
    driven.transport.finish(driven.transport.open[0][1])
    driven.step()
    driven.transport.finish(driven.transport.open[0][1])
    driven.step()
    assert sorted(driven.done) == ["a", "b"]


def test_a_place_that_leaves_gets_no_more_work_and_is_let_go_when_it_is_done():
    driven = DrivenPool(count=None, capacity=1)
    driven.transport.slots = {"x": 1, "y": 1}
    driven.submit("a", "b", "c")
    key = next(
        key for number, key in driven.transport.open if driven.transport.workers[number].place == "x"
    )
    driven.transport.slots, driven.transport.leaving = {"y": 1}, {"x": 30.0}
    driven.now += 1
    driven.step()
    assert at(driven) == ["x", "y"]
    driven.transport.finish(key)
    driven.step()
    driven.step()
    assert at(driven) == ["y"]
    assert [report.complete for report in driven.reports if isinstance(report, WorkerEnded)] == [True]


def test_work_is_taken_back_before_its_place_ends():
    driven = DrivenPool(count=None, capacity=1)
    driven.transport.slots = {"x": 1}
    driven.submit("a")
    driven.transport.slots, driven.transport.leaving = {"y": 1}, {"x": 0.5}
    driven.now += 1
    driven.step()
    assert driven.transport.open == [(1, "a")]
    assert at(driven) == ["y"]


def test_workers_beyond_the_slots_of_a_place_are_let_go():
    driven = DrivenPool(count=None, capacity=1)
    driven.transport.slots = {"x": 2}
    driven.submit("a", "b", "c")
    driven.transport.slots = {"x": 1}
    driven.now += 1
    driven.step()
    driven.transport.finish("b")
    driven.step()
    driven.step()
    assert driven.transport.open == [(0, "a")]


def test_idle_workers_are_let_go_once_no_more_work_will_come():
    driven = DrivenPool(count=2, capacity=1)
    driven.submit("a", "b")
    driven.transport.finish("a")
    driven.step()
    assert driven.pool.use.workers == 2
    driven.pool.wind_down()
    driven.step()
    assert driven.pool.use.workers == 1
    assert driven.transport.freed == ["here"]
    driven.transport.kill("b")
    driven.now += 60
    driven.step()
    driven.now += 60
    driven.step()
    assert driven.transport.open == [(2, "b")]


def test_a_worker_that_was_let_go_at_the_end_is_not_started_again():
    driven = DrivenPool(count=2, capacity=8)
    driven.submit(*range(8))
    for number, key in driven.transport.open:
        if number == 1:
            driven.transport.finish(key)
    driven.step()
    driven.pool.wind_down()
    for _ in range(5):
        driven.now += 60
        driven.step()
    assert driven.pool.use == PoolUse(1, 4, 0, started=2)


def test_no_worker_starts_at_a_place_that_was_given_up_before_it_is_named_again():
    driven = DrivenPool(count=2, capacity=1)
    driven.transport.slots = {"x": 1, "y": 1}
    driven.submit("a", "b")
    freed = driven.transport.workers[driven.transport.open[0][0]].place
    driven.transport.finish(driven.transport.open[0][1])
    driven.step()
    driven.pool.wind_down()
    driven.transport.slots = {place: 1 for place in "xy" if place != freed}
    driven.step()
    assert driven.transport.freed == [freed]
    driven.submit("c", "d")
    assert at(driven) == [place for place in "xy" if place != freed]


def test_a_worker_that_is_idle_for_long_is_let_go():
    driven = DrivenPool(count=2, capacity=1, shape={"idle_seconds": 60.0})
    driven.submit("a", "b")
    driven.transport.finish("a")
    driven.step()
    driven.now += 59
    driven.step()
    assert driven.pool.use.workers == 2
    driven.now += 2
    driven.step()
    assert driven.pool.use.workers == 1


def test_the_first_worker_at_a_place_probes_it_and_a_refused_place_is_not_used():
    refusal = UserError("x lacks the layer cgroup")
    driven = DrivenPool(
        count=None,
        capacity=1,
        shape={"probe": ("probe", "python")},
        start=lambda number: refusal if driven.transport.workers[number].place == "x" else None,
    )
    driven.transport.slots = {"x": 3, "y": 2}
    driven.submit(*range(9))
    assert at(driven) == ["y", "y"]
    driven.now += 120
    driven.step()
    assert at(driven) == ["y", "y"]
    assert driven.pool.use.waiting == ""


def test_the_run_ends_if_every_place_refuses_its_work():
    driven = DrivenPool(
        count=None, shape={"probe": ("probe",)}, start=lambda number: UserError(f"no sandbox {number}")
    )
    driven.transport.slots = {"x": 1, "y": 1}
    driven.submit("a", "b")
    driven.now += 1
    with pytest.raises(UserError, match="no sandbox"):
        driven.step()


def test_the_wait_for_a_worker_ends_at_its_deadline():
    driven = DrivenPool(count=None, shape={"wait_seconds": 30.0})
    driven.transport.slots, driven.transport.waiting = {}, "waiting for a node"
    driven.submit("a")
    assert driven.pool.use.waiting == "waiting for a node"
    driven.now += 29
    driven.step()
    driven.now += 2
    with pytest.raises(
        InfrastructureError, match=r"within 30 s \(cluster.wait_seconds\): waiting for a node"
    ):
        driven.step()

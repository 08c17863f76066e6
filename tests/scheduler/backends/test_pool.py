"""WorkerPools of workers: order, loads, deaths, failures, leases and reports."""

import pytest

from testbudget.executors.calls import CallFailedError, WorkerDiedError
from testbudget.executors.metering import Usage
from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.backends.base import PoolUse, WorkerReport, WorkerStarted, WorkLost
from testbudget.scheduler.core.events import WorkerKind
from tests.scheduler.backends.scripted_transport import SLICE, DrivenPool


def test_work_goes_to_the_least_loaded_worker_and_waits_while_all_are_full():
    driven = DrivenPool(count=2)
    driven.submit("a", "b", "c", "d", "e")
    assert driven.transport.open == [(0, "a"), (1, "b"), (0, "c"), (1, "d")]
    assert driven.pool.use == PoolUse(2, 4, 1, started=2)
    driven.transport.finish("b")
    assert driven.step() == ["GenerationDone"]
    assert driven.transport.open[-1] == (1, "e")


def test_no_more_workers_start_than_there_are_pieces_of_work():
    driven = DrivenPool(count=5)
    driven.submit("a", "b")
    assert driven.pool.use == PoolUse(2, 2, 0, started=2)
    driven.submit("c", "d", "e", "f", "g", "h")
    assert driven.pool.use.workers == 5


def test_work_that_exceeds_the_load_limit_alone_is_done():
    driven = DrivenPool()
    driven.submit("a", load=5)
    assert driven.transport.open == [(0, "a")]
    driven.submit("b")
    assert driven.transport.open == [(0, "a")]


def test_work_is_sent_in_batches_and_alone_after_a_death():
    driven = DrivenPool(batch=3)
    driven.submit(*"abcdefg")
    assert driven.transport.open == [(0, "a", "b", "c"), (0, "d", "e", "f")]  # g waits
    driven.pool.abort({"b"})
    driven.transport.finish("a")
    driven.step()
    assert driven.done == ["a", "c"]
    driven.transport.kill("d")
    driven.step()
    driven.now += 60
    driven.step()
    assert driven.transport.open == [(1, "d")]


def test_nothing_starts_before_the_pool_is_opened():
    driven = DrivenPool(opened=False)
    driven.submit("a")
    assert driven.transport.workers == []
    assert driven.pool.use == PoolUse(0, 0, 1)


def test_work_that_dies_with_its_worker_is_sent_to_another_worker():
    driven = DrivenPool(count=2, capacity=1)
    driven.submit("a", "b", "c")
    driven.transport.kill("a")
    assert driven.step() == ["WorkerEnded"]
    assert driven.pool.use == PoolUse(1, 1, 2, started=2, restarted=1)
    assert driven.transport.workers[0].ended
    driven.transport.finish("b")
    driven.step()
    assert driven.transport.open == [(1, "a")]  # before c
    driven.now += 1
    assert driven.step() == ["WorkerStarted"]
    assert driven.transport.open == [(1, "a"), (2, "c")]


def test_work_of_which_three_workers_died_alone_is_lost_and_no_other_is():
    driven = DrivenPool(count=2, capacity=64)
    keys = ["poison", *range(40)]
    driven.submit(*keys)
    for _ in range(5):  # twice it shares the worker with others
        assert driven.pool.use.quarantined == 0
        while not any("poison" in work for work in driven.transport.open):
            others = [key for _, key in driven.transport.open]
            driven.transport.finish(others[0])
            driven.step()
        driven.transport.kill("poison")
        driven.step()
        driven.now += 60
        driven.step()
    (lost,) = [report for report in driven.reports if isinstance(report, WorkLost)]
    assert lost.work.key == "poison"
    assert lost.lethal
    assert lost.reason == "3 workers died of it alone: killed"
    assert driven.pool.use.quarantined == 1
    while driven.transport.open:
        driven.transport.finish(driven.transport.open[0][1])
        driven.step()
    assert sorted(driven.done) == list(range(40))


def test_the_loss_of_a_node_counts_against_no_work():
    driven = DrivenPool()
    driven.submit("a")
    for _ in range(5):
        driven.transport.kill("a", blameless=True)
        driven.now += 60
        driven.step()
        driven.now += 60
        driven.step()
    driven.transport.finish("a")
    driven.step()
    assert driven.done == ["a"]


def test_work_that_fails_is_sent_to_another_worker_once():
    driven = DrivenPool(count=2, capacity=1)
    driven.submit("a", "b", "c")
    driven.transport.fail("a")
    driven.step()
    assert driven.transport.open == [(1, "b")]  # a waits for the other worker, and c for a
    driven.transport.finish("b")
    driven.step()
    assert driven.transport.open == [(1, "a"), (0, "c")]
    driven.transport.fail("a")
    assert driven.step() == ["WorkLost"]
    assert driven.reports[-1].reason == "the sandbox failed"


def test_work_that_fails_on_the_only_worker_is_sent_to_it_again():
    driven = DrivenPool()
    driven.submit("a")
    driven.transport.fail("a")
    driven.step()
    driven.transport.finish("a")
    driven.step()
    assert driven.done == ["a"]


def test_user_errors_are_raised():
    driven = DrivenPool()
    driven.submit("a")
    driven.transport.refuse("a", UserError("sandbox.require names a layer"))
    with pytest.raises(UserError, match="names a layer"):
        driven.step()
    with pytest.raises(UserError, match="no such model"):
        DrivenPool(start=lambda _: UserError("no such model")).submit("a")


@pytest.mark.parametrize("error", [WorkerDiedError("no library"), CallFailedError("no library")])
def test_a_kind_of_which_no_worker_can_be_started_ends_the_run(error):
    driven = DrivenPool(count=2, kind=WorkerKind.REWARD_MODEL, start=lambda _: error)
    driven.submit("a")
    with pytest.raises(InfrastructureError, match="no reward model can be started: no library"):
        for _ in range(6):
            driven.now += 60
            driven.step()


def test_workers_are_replaced_without_limit_once_one_has_started():
    driven = DrivenPool(count=1, start=lambda number: WorkerDiedError("no memory") if number % 9 else None)
    driven.submit("a")
    driven.transport.kill("a")
    for _ in range(9):
        driven.step()
        driven.now += 60
    driven.step()
    assert driven.transport.open == [(9, "a")]
    assert driven.pool.use.restarted == 9
    assert driven.pool.use.waiting == ""


def test_a_failed_start_is_what_is_waited_for():
    driven = DrivenPool(count=1, start=lambda number: WorkerDiedError("no memory") if number else None)
    driven.submit("a")
    driven.transport.kill("a")
    driven.step()
    driven.now += 60
    driven.step()
    assert driven.pool.use.waiting == "the last runner did not start: no memory"


def test_workers_that_are_of_no_use_are_replaced_ever_more_slowly():
    driven = DrivenPool(count=1)
    driven.submit("a")
    pauses = []
    for _ in range(4):
        driven.transport.kill("a", blameless=True)
        driven.step()
        begun, started = driven.now, len(driven.transport.workers)
        while len(driven.transport.workers) == started:
            driven.now += 0.25
            driven.step()
        pauses.append(driven.now - begun)
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_piece_that_a_worker_died_of_waits_for_no_other_and_no_other_for_it():
    driven = DrivenPool(count=2, capacity=16)
    driven.submit(*range(32))
    driven.transport.kill(0)  # all sixteen on its worker are suspects
    driven.step()
    driven.submit("new")
    driven.now += 60
    driven.step()
    assert [work for work in driven.transport.open if work[0] == 2] == [(2, 0)]  # alone
    assert (1, 1) in driven.transport.open
    driven.transport.finish(0)
    driven.step()
    assert [work for work in driven.transport.open if work[0] == 2] == [(2, 2)]


def test_in_a_serial_pool_only_the_first_call_is_suspected():
    driven = DrivenPool(shape={"serial": True})
    driven.submit("poison", "innocent")
    for _ in range(3):
        driven.transport.kill("poison")
        driven.step()
        driven.now += 60
        driven.step()
    (lost,) = [report for report in driven.reports if isinstance(report, WorkLost)]
    assert lost.work.key == "poison"
    assert driven.transport.open == [(3, "innocent")]


def test_a_death_with_the_place_counts_against_no_work():
    driven = DrivenPool()
    driven.transport.unsound = {"here"}
    driven.submit("a")
    for _ in range(4):
        driven.transport.kill("a")
        driven.step()
        driven.now += 60
        driven.step()
    assert driven.transport.open == [(4, "a")]


def test_a_worker_that_does_not_answer_is_replaced():
    driven = DrivenPool()
    driven.submit("a")
    driven.transport.mute = True
    for _ in range(30):
        driven.now += 1
        driven.step()
    assert driven.transport.workers[0].ended
    assert driven.transport.open == [(1, "a")]


def test_an_engine_that_makes_no_progress_is_replaced():
    driven = DrivenPool(capacity=64, shape={"stall_seconds": 20.0})
    driven.submit("a", "b")
    for progress in range(40):
        driven.transport.workers[0].progress = min(progress, 15)
        driven.now += 1
        driven.step()
        if driven.transport.workers[0].ended:
            break
    assert 34 <= driven.now <= 38
    driven.now += 60
    driven.step()
    assert sorted(driven.transport.open) == [(1, "a"), (1, "b")]


def test_tests_of_a_problem_go_to_the_worker_that_had_the_last_ones_if_it_has_room():
    driven = DrivenPool(count=2, capacity=8, shape={"affine": True})
    driven.submit("a", "x", problem="p")
    driven.transport.finish("x")
    driven.step()
    driven.submit("b", problem="q")
    driven.submit("c", problem="q")
    driven.submit("d", problem="p")
    assert driven.transport.open == [(0, "a"), (1, "b"), (1, "c"), (0, "d")]
    driven.submit("e", "f", "g", "h", problem="q")
    assert [number for number, _ in driven.transport.open[4:]] == [1, 1, 1, 0]


def test_a_metered_worker_gets_no_work_without_a_lease():
    driven = DrivenPool(metered=True)
    driven.submit("a")
    assert driven.transport.open == []
    (started,) = driven.reports
    assert started == WorkerStarted(0, "runner-0", WorkerKind.RUNNER, SLICE)
    assert driven.pool.lease(0, Usage(50.0))
    assert not driven.pool.lease(7, Usage(50.0))
    driven.step()
    assert driven.transport.open == [(0, "a")]
    assert driven.transport.workers[0].leases == [Usage(50.0)]


def test_work_that_a_lease_has_ended_waits_in_front_for_the_next_lease():
    driven = DrivenPool(metered=True)
    driven.submit("a", "b", "c")
    driven.pool.lease(0, Usage(50.0))
    driven.step()
    driven.transport.end_lease("b", Usage(50.0))
    driven.transport.end_lease("a", Usage(50.0))
    assert driven.step() == ["WorkerReport"]
    assert driven.reports[-1] == WorkerReport(0, Usage(50.0), SLICE)
    assert driven.transport.open == []
    driven.pool.lease(0, Usage(80.0))
    driven.step()
    assert driven.transport.open == [(0, "a"), (0, "b")]


def test_work_is_sent_again_at_once_if_the_lease_was_renewed_meanwhile():
    driven = DrivenPool(metered=True)
    driven.submit("a")
    driven.pool.lease(0, Usage(50.0))
    driven.step()
    driven.pool.lease(0, Usage(80.0))
    driven.pool.lease(0, Usage(60.0))  # late: a lease is never lowered
    driven.transport.end_lease("a", Usage(50.0))
    driven.step()
    assert driven.transport.open == [(0, "a")]
    assert driven.transport.workers[0].leases == [Usage(50.0), Usage(80.0)]


def test_usage_is_reported_before_the_result_and_while_work_is_in_progress():
    driven = DrivenPool(metered=True)
    driven.submit("a")
    driven.pool.lease(0, Usage(50.0))
    driven.step()
    driven.transport.workers[0].used = 7.0
    driven.now += 0.4
    assert driven.step() == []
    driven.now += 0.2
    assert driven.step() == ["WorkerReport"]
    driven.transport.finish("a", used=3.0)
    assert driven.step() == ["WorkerReport", "GenerationDone"]
    assert [report.used for report in driven.reports if isinstance(report, WorkerReport)] == [
        Usage(7.0),
        Usage(10.0),
    ]
    driven.now += 60
    assert driven.step() == []


def test_the_policy_model_is_not_metered():
    driven = DrivenPool(metered=True, kind=WorkerKind.POLICY_MODEL)
    driven.submit("a")
    assert driven.transport.open == [(0, "a")]
    driven.transport.finish("a", used=5.0)
    assert driven.step() == ["GenerationDone"]
    assert driven.reports[0].slice == Usage()


def test_work_that_does_not_reach_its_worker_is_sent_to_another_one():
    driven = DrivenPool()
    driven.submit("a")
    for deaf in (False, True):
        driven.transport.workers[0].deaf = deaf
        for _ in range(60):
            driven.now += 1
            driven.step()
            if driven.transport.workers[0].ended:
                break
    assert driven.transport.workers[0].ended
    assert 60 + 15 <= driven.now < 60 + 15 + 10
    driven.now += 60
    driven.step()
    assert driven.transport.open == [(1, "a")]


def test_aborted_work_is_not_sent_and_not_reported():
    driven = DrivenPool(capacity=1)
    driven.submit("a", "b", "c")
    driven.pool.abort({"a", "b", "never"})
    assert driven.pool.use == PoolUse(1, 0, 1, started=1)
    driven.transport.finish("a")
    assert driven.step() == []
    assert driven.transport.open == [(0, "c")]


def test_the_answer_of_a_worker_that_is_gone_counts_for_nothing():
    driven = DrivenPool(capacity=2)
    driven.submit("a", "b")
    first, second = driven.pool.calls
    driven.transport.finish("b")
    driven.transport.kill("a")
    driven.pool.collect(first)
    driven.pool.collect(second)
    driven.now += 60
    driven.step()
    assert driven.done == []
    assert sorted(key for _, key in driven.transport.open) == ["a"]


def test_the_end_of_a_pool_ends_its_workers():
    driven = DrivenPool(count=2)
    driven.submit("a", "b")
    assert [report.number for report in driven.pool.close()] == [0, 1]
    assert all(worker.ended for worker in driven.transport.workers)

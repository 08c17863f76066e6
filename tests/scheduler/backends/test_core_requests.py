"""Requests of several runs on one cluster for cores, as the autoscaler would read them."""

import json

import pytest
import ray
from ray.autoscaler._private.constants import AUTOSCALER_RESOURCE_REQUEST_CHANNEL
from ray.experimental.internal_kv import _internal_kv_get

from testbudget.scheduler.backends.core_requests import CoreRequests

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=0, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def asked() -> int:
    """Cores that the whole cluster is asked for."""
    return len(json.loads(_internal_kv_get(AUTOSCALER_RESOURCE_REQUEST_CHANNEL) or "[]"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_runs_on_one_cluster_add_up_and_leave_each_other_s_request():
    clock = Clock()
    one, other = CoreRequests(clock), CoreRequests(clock)
    one.ask(3, None, unused=2)
    assert asked() == 5
    other.ask(4, None, unused=2)
    assert asked() == 3 + 4 + 2
    one.ask(1, None, unused=2)
    assert asked() == 1 + 4 + 2
    one.end()
    assert asked() == 4 + 2
    other.end()
    assert asked() == 0


def test_a_run_whose_driver_was_killed_counts_until_it_has_not_renewed_its_request_for_long():
    clock = Clock()
    killed, alive = CoreRequests(clock), CoreRequests(clock)
    killed.ask(7, None)
    for _ in range(4):
        alive.ask(2, None)
        assert asked() == 9
        clock.now += 31
    alive.ask(2, None)
    assert asked() == 2
    for run in (alive, killed):
        run.end()
    assert asked() == 0


def test_cores_on_labelled_nodes_are_asked_for_beside_others():
    clock = Clock()
    one, other = CoreRequests(clock), CoreRequests(clock)
    one.ask(3, "role=sandbox", unused=0)
    other.ask(2, None, unused=1)
    assert asked() == 3 + 2 + 1
    one.end()
    other.end()

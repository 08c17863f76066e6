"""Every back end passes the published suite."""

import pytest
import ray
from ray.cluster_utils import Cluster

from testbudget.scheduler.backends.in_process import InProcessBackend
from testbudget.scheduler.backends.ray import RayBackend
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.sections.cluster import ClusterSection
from testbudget.testing.backends import CHECKS


@pytest.fixture(scope="module")
def address():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    yield cluster.address
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.parametrize("check", CHECKS)
def test_the_recorded_back_end_keeps_the_contract(check):
    def make(job, problems, recording, metered):
        return RecordedBackend(recording, problems, engines=2, slots=2, runners=2, metered=metered)

    check(make)


@pytest.mark.parametrize("check", CHECKS)
def test_the_in_process_back_end_keeps_the_contract(check):
    check(lambda job, problems, recording, metered: InProcessBackend(job, recording, metered=metered))


@pytest.mark.cluster
@pytest.mark.parametrize("check", CHECKS)
def test_the_ray_back_end_keeps_the_contract(check, address):
    def make(job, problems, recording, metered):
        on_cluster = job.model_copy(update={"cluster": ClusterSection(address=address)})
        return RayBackend(on_cluster, recording, metered=metered)

    check(make)

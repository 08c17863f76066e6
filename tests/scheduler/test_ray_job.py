"""Addresses of clusters, of which those without a listener are refused at once."""

import socket

import pytest

from testbudget.rewards.errors import UserError
from testbudget.scheduler.ray_job import require_listener


@pytest.fixture
def bound():
    """Socket with an address of its own, at which it does not listen yet."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one


def address_of(one):
    return "{}:{}".format(*one.getsockname())


def test_an_address_without_a_listener_is_refused(bound):
    with pytest.raises(UserError, match=r"^cluster.address must be a running Ray cluster but 127"):
        require_listener(address_of(bound), "cluster.address")


def test_a_listener_is_enough(bound):
    bound.listen()
    require_listener(address_of(bound), "cluster.address")


@pytest.mark.parametrize("address", ["auto", "local", "ray://127.0.0.1:1", "127.0.0.1"])
def test_what_names_no_port_of_the_cluster_is_left_to_ray(address):
    require_listener(address, "cluster.address")

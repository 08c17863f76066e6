"""Meters and leases."""

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.metering import UNLIMITED, LeaseEndedError, Meter, Usage

AMOUNTS = st.tuples(*[st.floats(0.0, 1e6)] * 3).map(lambda amounts: Usage(*amounts))


def test_a_metered_worker_begins_with_a_lease_of_nothing():
    assert Meter().remaining == Usage(0.0, 0.0, 0.0)


def test_without_metering_the_lease_has_no_end_and_usage_is_counted():
    meter = Meter(metered=False)
    meter.add(tokens=7, cpu_seconds=0.5)
    meter.use_up(meter.until)
    assert meter.remaining == UNLIMITED
    assert meter.used == Usage(7.0, 0.0, 0.5)


@given(st.lists(AMOUNTS), st.lists(AMOUNTS))
def test_a_lease_is_never_lowered_and_remains_by_what_is_used(leases, steps):
    meter = Meter()
    for until in leases:
        meter.lease(until)
    for step in steps:
        meter.add(**step._asdict())
    assert meter.until == tuple(max(column) for column in zip(Usage(), *leases, strict=True))
    assert meter.used == pytest.approx(tuple(sum(column) for column in zip(Usage(), *steps, strict=True)))
    for left, until, used in zip(meter.remaining, meter.until, meter.used, strict=True):
        assert left == max(0.0, until - used)


def test_the_rest_of_an_ended_lease_is_charged_until_it_is_used():
    meter = Meter()
    meter.lease(Usage(100.0, 5.0, math.inf))
    meter.add(tokens=90, gpu_seconds=1.0)
    for _ in range(2):
        meter.use_up(Usage(100.0, math.inf, math.inf))
    assert meter.charged == Usage(100.0, 1.0, 0.0)
    meter.lease(Usage(150.0, 5.0, math.inf))
    assert meter.remaining.tokens == 60.0
    meter.add(tokens=8, gpu_seconds=1.0)
    assert meter.charged == Usage(100.0, 2.0, 0.0)
    meter.add(tokens=8)
    assert meter.charged == meter.used == Usage(106.0, 2.0, 0.0)


def test_the_error_says_which_lease_has_ended():
    error = copy.copy(LeaseEndedError(Usage(3.0)))  # by the means that also send it to another process
    assert error.until == Usage(3.0)
    assert "tokens=3.0" in str(error)
